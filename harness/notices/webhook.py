"""A notice as a POST of JSON."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Callable
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from harness.errors import HarnessError
from harness.notices import Notice
from harness.notices.channels import Webhook, secret

DEADLINE_SECONDS = 10.0
PAUSES_SECONDS = (1.0, 3.0)
"""Before the second and the third attempt."""
AGAIN = (0, 429, 500, 502, 503, 504)
"""Answers that may be another in a moment; 0 is none."""
ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
"""Letters that mean something to Slack."""
HANDLERS = (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.HTTPDefaultErrorHandler,
)
"""None for redirects: what is told goes nowhere else."""


def post(notice: Notice, channel: Webhook, sleep: Callable[[float], None] = time.sleep) -> None:
    """Send; a busy or unreachable server is tried three times. Raises HarnessError, which never has the address."""
    text = notice.text
    for letter, escaped in ESCAPES:
        text = text.replace(letter, escaped)
    request = _request(channel, json.dumps({"text": text}).encode())
    for pause in (*PAUSES_SECONDS, None):
        status = _posted(request)
        if 200 <= status < 300:
            return
        if pause is None or status not in AGAIN:
            raise HarnessError(f"the server answered {status}" if status else "the server does not answer")
        sleep(pause)


def _request(channel: Webhook, body: bytes) -> urllib.request.Request:
    address, headers = secret(channel.url_env), {"Content-Type": "application/json"}
    if channel.token_env:
        headers["Authorization"] = f"Bearer {secret(channel.token_env)}"
    try:
        if urlsplit(address).scheme not in ("http", "https"):
            raise ValueError("another scheme")
        return urllib.request.Request(address, body, headers, method="POST")
    except ValueError:
        raise HarnessError(f"{channel.url_env} does not hold an http or https address") from None


def _posted(request: urllib.request.Request) -> int:
    """The status, 0 if there was no answer."""
    opener = urllib.request.OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    try:
        with opener.open(request, timeout=DEADLINE_SECONDS) as response:
            return int(response.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError, http.client.HTTPException, ValueError):
        return 0
