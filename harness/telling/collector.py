"""Letters to a collector of OpenTelemetry, over HTTP in OTLP's JSON.

A span has the same id whenever it is sent, so one that may have arrived is simply sent again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import requests

from harness.errors import HarnessError
from harness.stores import Kind
from harness.stores.outbox import Taken
from harness.telling.gateway import LOOPBACK, UNREADABLE, Gateway, not_sent, refusal
from harness.telling.outbox import NotSentError, Pace, Reply

PATHS: Mapping[Kind, str] = {"spans": "/v1/traces", "metrics": "/v1/metrics"}


class Collector:
    """A sender of the letters of one endpoint. Made by `collecting`."""

    def __init__(self, endpoint: str, session: requests.Session, gateway: Gateway) -> None:
        self.endpoint = endpoint
        self.session = session
        self.gateway = gateway

    @property
    def requests(self) -> int:
        return self.gateway.requests

    def find(self, doubtful: Sequence[Taken]) -> dict[str, Reply]:
        """Nobody can be asked, and nobody needs to be."""
        return {}

    def send(self, taken: Taken) -> Reply:
        payload = json.loads(taken.letter.payload)
        secret = os.environ.get(payload["headers_env"], "").strip()
        if secret and not _is_safe(self.endpoint):
            raise NotSentError("later", "the headers would travel unencrypted; give an https:// endpoint")
        try:
            url = self.endpoint + PATHS[taken.letter.kind]
            response = self.session.post(url, json=payload["body"], headers=_headers(secret))
        except requests.RequestException as error:
            raise not_sent(error, secret) from error
        if not response.ok:
            raise refusal(response, secret)
        if dropped := _dropped(response):
            raise NotSentError("refused", f"{dropped} of them were not taken", response.status_code)
        return Reply()


@contextmanager
def collecting(endpoint: str, pace: Pace, most_requests: int) -> Iterator[Collector]:
    """A collector at the endpoint, such as http://localhost:4318."""
    endpoint = endpoint.rstrip("/")
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname:
        raise HarnessError(f"the endpoint {endpoint!r} is no URL such as http://localhost:4318")
    gateway = Gateway((pace.connect_seconds, pace.read_seconds), most_requests)
    with requests.Session() as session:
        session.mount(endpoint, gateway)  # type: ignore[arg-type]
        yield Collector(endpoint, session, gateway)


def _is_safe(endpoint: str) -> bool:
    return urlsplit(endpoint).scheme == "https" or urlsplit(endpoint).hostname in LOOPBACK


def _headers(text: str) -> dict[str, str]:
    """ "name=value,name=value" -> headers."""
    pairs = [entry.partition("=") for entry in text.split(",") if "=" in entry]
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


def _dropped(response: requests.Response) -> int:
    """How many spans or points a collector says that it did not take, though it took the rest."""
    try:
        answer = response.json()
        partial = answer.get("partialSuccess") or {}
        return int(partial.get("rejectedSpans") or partial.get("rejectedDataPoints") or 0)
    except (AttributeError, TypeError, *UNREADABLE):
        # An answer need not be JSON; that it is a success is enough.
        return 0
