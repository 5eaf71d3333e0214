"""Gateway: HTTP with time-outs, a budget and no repeats; and what a failure there says of the letter."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from harness.retry_after import asked_seconds
from harness.telling.outbox import NotSentError, Trouble

MOST_TEXT = 300
MOST_BYTES = 8_000_000
"""Of one answer; a server is not trusted with our memory."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LONGEST_RETRY_AFTER_SECONDS = 3600.0
TROUBLES: dict[int, Trouble] = {401: "unauthorised", 403: "unauthorised", 408: "unsure", 425: "later", 429: "later"}
"""What a status says; the others: 4xx refused, because it will be wrong again; all else unsure."""
UNREADABLE = (ValueError, RecursionError)
"""What reading JSON raises: no JSON, a number of too many digits, too deep."""


class OverBudgetError(requests.RequestException):
    """No request is left."""


class _Bounded:
    """The body of an answer, cut off where it grows beyond all measure."""

    def __init__(self, raw: HTTPResponse) -> None:
        self.raw = raw

    def stream(self, size: int, decode_content: bool) -> Iterator[bytes]:
        """Called by requests, which makes an exception of its own of the one raised here."""
        taken = 0
        for piece in self.raw.stream(size, decode_content=decode_content):
            taken += len(piece)
            if taken > MOST_BYTES:
                raise ProtocolError(f"the answer is longer than {MOST_BYTES} bytes")
            yield piece

    def close(self) -> None:
        self.raw.close()


class Gateway:
    """A transport adapter for a requests session. timeouts: seconds to connect, and between two pieces of an answer."""

    def __init__(self, timeouts: tuple[float, float], most_requests: int) -> None:
        self.timeouts = timeouts
        self.most_requests = most_requests
        self.requests = 0
        self.lock = threading.Lock()
        self.adapter = HTTPAdapter(pool_connections=1, pool_maxsize=32, max_retries=0)

    def send(self, request: requests.PreparedRequest, timeout: object = None, **settings: object) -> requests.Response:
        """Called by the session. A redirect is refused: requests would hand the key to whoever it names."""
        with self.lock:
            if self.requests >= self.most_requests:
                raise OverBudgetError(f"{self.most_requests} requests were made, which is the limit")
            self.requests += 1
        response = self.adapter.send(request, timeout=self.timeouts, **settings)  # type: ignore[arg-type]
        response.raw = _Bounded(response.raw)
        if response.is_redirect:
            raise requests.TooManyRedirects(f"it redirects to {response.headers['location']}", response=response)
        return response

    def close(self) -> None:
        self.adapter.close()


def not_sent(error: Exception, key: str) -> NotSentError:
    """What an exception of the SDK or of requests says of the letter."""
    causes = [one for one in (error, error.__cause__) if one is not None]
    for cause in causes:
        response = getattr(cause, "response", None)
        if isinstance(response, requests.Response):
            return refusal(response, key)
    last = causes[-1]
    if isinstance(last, OverBudgetError):
        return NotSentError("later", str(last))
    if isinstance(last, requests.ConnectTimeout) or _never_connected(last):
        return NotSentError("later", "cannot connect")
    if isinstance(last, requests.Timeout):
        return NotSentError("unsure", "no answer in time")
    if isinstance(last, UNREADABLE):
        return NotSentError("unsure", "the answer is no JSON that can be read")
    return NotSentError("unsure", f"the connection broke: {type(last).__name__}")


def refusal(response: requests.Response, key: str) -> NotSentError:
    """What an answer that is no success says of the letter."""
    status = response.status_code
    wait = min(asked_seconds(response.headers.get("Retry-After", "")) or 0.0, LONGEST_RETRY_AFTER_SECONDS)
    trouble = TROUBLES.get(status, "refused" if 300 <= status < 500 else "unsure")
    return NotSentError(trouble, f"{status} {_line(_message(response), key)}".rstrip(), status, wait)


def _never_connected(error: BaseException) -> bool:
    reason = error.args[0] if error.args else None
    refused = isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)
    return refused or "CERTIFICATE_VERIFY_FAILED" in str(error)


def _message(response: requests.Response) -> str:
    try:
        body = response.json()
    except UNREADABLE:
        return response.text
    known = (body.get(name) for name in ("message", "error", "detail")) if isinstance(body, dict) else ()
    return str(next((value for value in known if value), response.reason))


def _line(text: str, key: str) -> str:
    """One line without the key, which a server may have echoed, and without what would move a terminal's cursor."""
    line = " ".join((text.replace(key, "[key]") if key else text).split())[:MOST_TEXT]
    return "".join(letter for letter in line if letter.isprintable())
