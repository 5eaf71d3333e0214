"""Requests to one endpoint: tried again while that may help, and a plain reason where it does not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from harness.endpoints.keys import key_of, without
from harness.errors import HarnessError
from harness.records import DECODING, Endpoint
from harness.retry_after import asked_seconds, back_off

MOST_BYTES = 64_000_000
"""Of one reply; a server is not trusted with our memory."""
CONNECT_SECONDS = 10.0
AGAIN = (408, 409, 425, 429)
"""Statuses, besides all from 500, after which the same request may yet be answered."""
OF_THE_REQUEST = (400, 413, 422)
"""Statuses that say something of this request; all others are about the endpoint."""
SMALL = {"messages": [{"role": "user", "content": "Hi"}], "prompt": "Hi"}

Body = Mapping[str, Any]
"""JSON as it is sent or as it came."""


class EndpointError(HarnessError):
    """The endpoint as a whole cannot be used now; what it answered before is kept."""


class RefusedError(HarnessError):
    """The endpoint answers, but not this request."""


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long to wait in between: each time twice as long, or up to half less."""

    tries: int = 8
    late_tries: int = 2
    """Requests that are not answered in time; each has taken the whole time-out."""
    first_seconds: float = 0.5
    most_seconds: float = 30.0
    most_asked_seconds: float = 300.0
    """A server may ask to be left alone for so long."""


@dataclass(frozen=True)
class Reply:
    """JSON that came with status 200."""

    body: Body
    seconds: float
    """From sending the request that was answered to the last byte."""


class Host(Protocol):
    """Who runs a server for one connection alone."""

    @property
    def facts(self) -> dict[str, str]: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class _Failure:
    """Why there is no reply yet, and how long the server asks to wait."""

    reason: str
    wait_seconds: float | None = None
    late: bool = False


class Connection:
    """One client for all requests; may be used by several threads."""

    def __init__(self, endpoint: Endpoint, patience: Patience | None = None, host: Host | None = None) -> None:
        self.endpoint = endpoint
        self._host = host
        self.patience = patience or Patience()
        self._key = key_of(endpoint)
        self._closed = threading.Event()
        bearer = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx.Client(
            base_url=endpoint.url + "/",
            headers={"Content-Type": "application/json", **bearer},
            timeout=httpx.Timeout(endpoint.timeout_seconds, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=endpoint.concurrency),
        )

    @property
    def facts(self) -> dict[str, str]:
        """What a reader of the answers should know."""
        return {
            DECODING: "temperature 0, seed 0; chat template and all other settings are the server's",
            "requests": f"{self.endpoint.concurrency} at once, {self.endpoint.timeout_seconds:g} s each",
            **(self._host.facts if self._host else {}),
        }

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def post(self, path: str, body: Body) -> Reply:
        """Raises RefusedError if this request gets no answer, EndpointError if no request does.

        Which of both it is shows a small request of the same kind, where trying again has not helped.
        """
        failures: list[_Failure] = []
        while len(failures) < self.patience.tries and sum(one.late for one in failures) < self.patience.late_tries:
            if failures:
                self._pause(len(failures), failures[-1])
            outcome = self._sent(path, body)
            if isinstance(outcome, Reply):
                return outcome
            failures.append(outcome)
        reason = f"{failures[-1].reason}, {len(failures)} times"
        if small(body) == body:
            raise self._useless(reason)
        with suppress(RefusedError):
            self.post(path, small(body))
        raise RefusedError(reason)

    def close(self) -> None:
        """Pauses end at once, no request is sent any more, and a server that ran for this alone is stopped."""
        self._closed.set()
        self._client.close()
        if self._host is not None:
            self._host.stop()

    def _sent(self, path: str, body: Body) -> Reply | _Failure:
        began = time.monotonic()
        try:
            with self._client.stream("POST", path, content=json.dumps(body)) as response:
                text = self._text(response, began + self.endpoint.timeout_seconds)
        except httpx.TimeoutException:
            return _Failure(f"no answer within {self.endpoint.timeout_seconds:g} s", late=True)
        except httpx.RequestError as error:
            return _Failure(f"the connection failed ({printable(error) or type(error).__name__})")
        status = response.status_code
        if status == httpx.codes.OK:
            found = _json(text)
            seconds = time.monotonic() - began
            return Reply(found, seconds) if isinstance(found, dict) else _Failure("a reply that is not a JSON object")
        said = f"status {status}: {_said(text)}"
        if status in AGAIN or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return _Failure(said, asked_seconds(response.headers.get("retry-after", "")))
        if status in OF_THE_REQUEST:
            raise RefusedError(said)
        raise self._useless(said)

    def _text(self, response: httpx.Response, deadline: float) -> str:
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise RefusedError(f"the reply is larger than {MOST_BYTES:,} bytes")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("")
        return without(self._key, b"".join(parts).decode(errors="replace"))

    def _pause(self, number: int, failure: _Failure) -> None:
        patience = self.patience
        asked = failure.wait_seconds
        if asked is not None and asked > patience.most_asked_seconds:
            raise self._useless(f"{failure.reason}; it asks to wait {asked:.0f} s")
        seconds = back_off(number, patience.first_seconds, patience.most_seconds, asked)
        if self._closed.wait(seconds):
            raise self._useless(failure.reason)

    def _useless(self, reason: str) -> EndpointError:
        return EndpointError(f"endpoint {self.endpoint.url}, model {self.endpoint.model}: {reason}")


def small(body: Body) -> Body:
    """The same request about next to nothing."""
    return {**body, "max_tokens": 1, **{key: value for key, value in SMALL.items() if key in body}}


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(text: str) -> str:
    """The server's own words, wherever it puts them."""
    found = _json(text)
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return printable(found if isinstance(found, str) else text) or "no reason given"


def printable(words: object) -> str:
    """One line that is safe to print."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(words)[:2000])
    return " ".join(text.split())[:200]
