"""Pages over HTTP, for the browser of this machine and nobody else.

Who asks must ask for this very address: a page from elsewhere whose name was made to lead here asks for its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from harness.errors import HarnessError

LOOPBACK = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
IDLE_SECONDS = 20
"""A browser opens connections that it never uses."""


@dataclass(frozen=True)
class Reply:
    """What a path gets."""

    body: bytes
    kind: str = "text/html; charset=utf-8"


Pages = Callable[[str], Reply | None]
"""A path without its first stroke -> its reply; None: there is none."""


@contextmanager
def served(pages: Pages, port: int) -> Iterator[str]:
    """Serve on the loopback interface while the block lasts; yields the address. port 0: a free one.

    Raises HarnessError if the port is taken.
    """
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), _handler(pages))
    except OSError as error:
        raise HarnessError(f"cannot serve on port {port}: {error.strerror}; give another --port, or 0") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="pages", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    # The library is told what to do by a subclass, and in no other way.
    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS

        def do_GET(self) -> None:
            port = self.connection.getsockname()[1]
            if self.headers.get("Host") not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
                self.send_error(403, "This address is served to this machine only")
                return
            reply = pages(urlsplit(self.path).path.removeprefix("/"))
            if reply is None:
                self.send_error(404, "No such page")
                return
            self.send_response(200)
            for name, value in (HEADERS | {"Content-Type": reply.kind, "Content-Length": str(len(reply.body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Nothing: a browser asks every second."""

    return Handler
