"""Letters through PromptLayer's SDK; the only module that imports it.

Requests and scores go through the SDK's client, the rest through its HTTP session: it has no call for searching and
importing, and its calls for groups and tables repeat themselves whatever Retry-After says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from harness.errors import HarnessError
from harness.stores import Kind
from harness.stores.outbox import Taken
from harness.telling.gateway import LOOPBACK, UNREADABLE, Gateway, not_sent, refusal
from harness.telling.outbox import NotSentError, Pace, Reply
from harness.telling.tables import Tables, listed, number_of

REQUESTS = "/api/public/v2/requests"
SEARCH = f"{REQUESTS}/search"
MOST_FOUND = 25
MOST_PAGES = 4


class Client:
    """PromptLayer with one key: a sender of letters. Made by `connected`."""

    def __init__(self, sdk: Any, session: Any, gateway: Gateway) -> None:
        self.sdk = sdk
        self.session = session
        self.gateway = gateway
        tables = self.tables = Tables(self._call, self._url)
        self.senders: Mapping[Kind, Callable[[Taken, dict[str, Any]], Reply]] = {
            "group": self._group,
            "log": self._log,
            "score": self._score,
            "member": self._member,
            "table": tables.table,
            "sheet": tables.sheet,
            "import": tables.rows,
            "scorecard": tables.scorecard,
        }

    @property
    def requests(self) -> int:
        return self.gateway.requests

    def send(self, taken: Taken) -> Reply:
        return self.senders[taken.letter.kind](taken, json.loads(taken.letter.payload))

    def find(self, doubtful: Sequence[Taken]) -> dict[str, Reply]:
        logs = [one.letter.id for one in doubtful if one.letter.kind == "log"]
        found = self._logged(logs) if logs else {}
        for one in doubtful:
            if one.letter.kind != "log" and (reply := self.tables.titled(one)):
                found[one.letter.id] = reply
        return found

    def template(self, name: str, label: str) -> dict[str, Any]:
        """A prompt of the registry, variables not filled in. label: or the number of a version; empty: the newest."""
        chosen: dict[str, Any] = {"version": int(label)} if label.isdecimal() else {"label": label} if label else {}
        body = {**chosen, "skip_input_variable_rendering": True}
        return self._call("POST", f"/prompt-templates/{quote(name, safe='')}", body)

    def history(self, filters: Sequence[Mapping[str, str]], page: int) -> tuple[list[int], bool]:
        """Ids of requests that pass every filter, newest first, and whether there is another page."""
        body: dict[str, Any] = {"page": page, "per_page": MOST_FOUND}
        body |= {"sort_by": "request_start_time", "sort_order": "desc"}
        if filters:
            body["filter_group"] = {"logic": "AND", "filters": list(filters)}
        answer = self._call("POST", SEARCH, body)
        return [number_of(item) for item in listed(answer, "items")], bool(answer.get("has_next"))

    def request(self, number: int) -> dict[str, Any]:
        """One request of the history, whole."""
        return self._call("GET", f"{REQUESTS}/{number}")

    def _log(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        with self._sdk_errors():
            answer = self.sdk.log_request(**payload)
        return Reply(str(number_of(answer)))

    def _score(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        with self._sdk_errors():
            self.sdk.track.score(int(taken.needed[0]), payload["score"], payload["name"])
        return Reply()

    def _group(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        return Reply(str(number_of(self._call("POST", "/create-group", {"api_key": self.sdk.api_key}))))

    def _member(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        request, group = taken.needed
        self._call("POST", "/rest/track-group", {"request_id": int(request), "group_id": int(group)})
        return Reply()

    def _logged(self, letters: Sequence[str]) -> dict[str, Reply]:
        """Which of these have become requests; the oldest where there are several."""
        found: dict[str, int] = {}
        for item in self._searched(letters):
            parts = item.get("metadata")
            for part in parts if isinstance(parts, list) else [parts]:
                name = str(part.get("secateur_id")) if isinstance(part, dict) else ""
                if name in letters:
                    found[name] = min(found.get(name, number_of(item)), number_of(item))
        return {name: Reply(str(number)) for name, number in found.items()}

    def _searched(self, letters: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Requests of these letters. There is one page, unless some were logged more than once."""
        wanted = {"field": "metadata", "operator": "in", "nested_key": "secateur_id", "value": list(letters)}
        for page in range(1, MOST_PAGES + 1):
            body = {"filter_group": {"logic": "AND", "filters": [wanted]}, "page": page, "per_page": MOST_FOUND}
            answer = self._call("POST", SEARCH, body)
            yield from listed(answer, "items")
            if not answer.get("has_next"):
                return
        raise NotSentError("unsure", f"the search has more than {MOST_PAGES} pages")

    def _url(self, workspace: str, table: str, sheet: str | None = None) -> str:
        from promptlayer.evaluations.utils import build_table_dashboard_url

        base = self.sdk.base_url
        return str(build_table_dashboard_url(api_base_url=base, workspace_id=workspace, table_id=table, sheet_id=sheet))

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """One HTTP call; returns the JSON object it answers."""
        import requests

        try:
            response = self.session.request(
                method, self.sdk.base_url + path, headers={"X-API-KEY": self.sdk.api_key}, json=body, params=params
            )
            if not response.ok:
                raise refusal(response, self.sdk.api_key)
            answer = response.json()
        except (requests.RequestException, *UNREADABLE) as error:
            raise not_sent(error, self.sdk.api_key) from error
        if not isinstance(answer, dict):
            raise NotSentError("unsure", "the answer is not a JSON object", response.status_code)
        return answer

    @contextmanager
    def _sdk_errors(self) -> Iterator[None]:
        from promptlayer import PromptLayerError
        from promptlayer.exceptions import PromptLayerValidationError

        try:
            yield
        except PromptLayerValidationError as error:
            raise NotSentError("refused", str(error)) from error
        except PromptLayerError as error:
            raise not_sent(error, self.sdk.api_key) from error


@contextmanager
def connected(key: str, pace: Pace, most_requests: int) -> Iterator[Client]:
    """A client whose every call has time-outs and is made once; what the SDK's session did before is put back after.

    The session by itself repeats a POST whose connection broke, which logs a request twice, and waits for ever.
    Raises HarnessError if the SDK is not there or PROMPTLAYER_BASE_URL would send the key in the clear.
    """
    try:
        from promptlayer import PromptLayer
        from promptlayer.utils import _get_requests_session
    except ImportError as error:
        raise HarnessError("PromptLayer's SDK is not there: python -m pip install 'secateur[promptlayer]'") from error
    base_url = _base_url()
    session = _get_requests_session()
    gateway = Gateway((pace.connect_seconds, pace.read_seconds), most_requests)
    session.mount(base_url, gateway)
    try:
        yield Client(PromptLayer(api_key=key, base_url=base_url), session, gateway)
    finally:
        del session.adapters[base_url]
        gateway.close()


def _base_url() -> str:
    url = os.environ.get("PROMPTLAYER_BASE_URL", "https://api.promptlayer.com").rstrip("/")
    parts = urlsplit(url)
    if parts.hostname is None or parts.scheme not in ("https", "http"):
        raise HarnessError(f"PROMPTLAYER_BASE_URL is {url!r}; give a URL such as https://api.promptlayer.com")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise HarnessError(f"PROMPTLAYER_BASE_URL is {url!r}; the key would travel unencrypted, give an https:// URL")
    return url
