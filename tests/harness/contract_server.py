"""A PromptLayer on loopback that keeps to its contract and, where asked, misbehaves: what the tests send letters to."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

KEY = "pl_right"
Fault = Literal[
    *("429", "429 and when", "500", "dropped", "stored and dropped", "stored and 500", "slow", "stored late"),
    *("half-closed", "malformed", "nested", "many digits", "a list", "no id", "page of a proxy", "endless", "redirect"),
]
FAULTS: tuple[Fault, ...] = Fault.__args__  # type: ignore[attr-defined]
Answer = tuple[int, Any]
SLOW_SECONDS = 0.3
BODIES = {
    "malformed": "{not json",
    "nested": "[" * 200_000,
    "many digits": '{"id": ' + "9" * 5000 + "}",
    "a list": "[1]",
    "no id": '{"id": null}',
    "page of a proxy": "<html>\x1b[2J please log in",
}
STORED = ("stored and dropped", "stored and 500", "slow", "half-closed", "endless", *BODIES)


@dataclass
class ContractServer:
    """What has arrived, and how to behave. `fault` is asked for each call: path and how many calls came before."""

    fault: Callable[[str, int], Fault | None] = lambda path, number: None
    keys: set[str] = field(default_factory=lambda: {KEY})
    index_seconds: float = 0.0
    """How long a search does not see a new request."""
    logs: dict[int, dict[str, Any]] = field(default_factory=dict)
    scores: dict[int, dict[str, int]] = field(default_factory=dict)
    groups: dict[int, set[int]] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    sheets: dict[str, dict[str, Any]] = field(default_factory=dict)
    imports: dict[str, dict[str, Any]] = field(default_factory=dict)
    scorecards: dict[str, dict[str, Any]] = field(default_factory=dict)
    templates: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Name -> versions, oldest first, each with its `labels`."""
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""

    def doubled(self) -> int:
        """Requests that are there more often than once."""
        return len(self.logs) - len({log["metadata"]["secateur_id"] for log in self.logs.values()})

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> Answer:
        with self.lock:
            for pattern, route in ROUTES.items():
                if match := re.fullmatch(pattern, f"{method} {path}"):
                    return route(self, body | {name: values[0] for name, values in query.items()}, *match.groups())
        return 404, {"message": f"no such path {path}"}

    def log(self, body: dict[str, Any]) -> Answer:
        for name in ("input", "output"):
            if any(not isinstance(turn["content"], list) for turn in body[name]["messages"]):
                return 400, {"message": "Malformed Request"}
        if any(not isinstance(value, str) for value in body["metadata"].values()):
            return 422, {"message": "metadata must be strings"}
        if any(len(tag) > 512 for tag in body["tags"]) or len(body["error_message"] or "") > 1024:
            return 422, {"message": "too long"}
        if type(body["score"]) is not int or not 0 <= body["score"] <= 100:
            return 422, {"message": "score must be 0 to 100"}
        number = len(self.logs) + 1
        self.logs[number] = body | {"seen": time.monotonic() + self.index_seconds}
        return 201, {"id": number, "status": body["status"], "prompt_version": None}

    def score(self, body: dict[str, Any]) -> Answer:
        if body["request_id"] not in self.logs:
            return 404, {"message": "no such request"}
        if type(body["score"]) is not int or not 0 <= body["score"] <= 100:
            return 400, {"message": "score must be 0 to 100"}
        self.scores.setdefault(body["request_id"], {})[body["name"]] = body["score"]
        return 200, {"success": True}

    def create_group(self, body: dict[str, Any]) -> Answer:
        self.groups[len(self.groups) + 1] = set()
        return 200, {"success": True, "id": len(self.groups)}

    def track_group(self, body: dict[str, Any]) -> Answer:
        if body["request_id"] not in self.logs or body["group_id"] not in self.groups:
            return 404, {"message": "no such request or group"}
        self.groups[body["group_id"]].add(body["request_id"])
        return 200, {"success": True, "message": "ok"}

    def get_template(self, body: dict[str, Any], name: str) -> Answer:
        for number, version in reversed(list(enumerate(self.templates.get(unquote(name), []), 1))):
            labelled = "label" not in body or body["label"] in version["labels"]
            if labelled and body.get("version", number) == number:
                return 200, {
                    "id": 1,
                    "prompt_name": unquote(name),
                    "version": number,
                    "prompt_template": version["template"],
                }
        return 404, {"message": "Prompt template not found"}

    def search(self, body: dict[str, Any]) -> Answer:
        if body["per_page"] > 25:
            return 400, {"message": "per_page is at most 25"}
        if ("sort_by" in body) != ("sort_order" in body):
            return 400, {"message": "sort_by and sort_order go together"}
        filters = body.get("filter_group", {}).get("filters", [])
        found = [
            {"id": number, "metadata": [log["metadata"]]}
            for number, log in self.logs.items()
            if all(FILTERS[one["field"], one["operator"]](log, one) for one in filters)
            and log["seen"] <= time.monotonic()
        ]
        found = found[::-1] if body.get("sort_order") == "desc" else found
        pages = [found[start : start + 25] for start in range(0, len(found), 25)] or [[]]
        items = pages[body["page"] - 1]
        return 200, {"success": True, "items": items, "page": body["page"], "has_next": body["page"] < len(pages)}

    def get_request(self, body: dict[str, Any], number: str) -> Answer:
        log = self.logs.get(int(number))
        if log is None:
            return 404, {"message": "no such request"}
        messages = [*log["input"]["messages"], *log["output"]["messages"]]
        blueprint = {"prompt_template": {**log["input"], "messages": messages}, "metadata": {}}
        return 200, {"success": True, "request_id": int(number), "prompt_blueprint": blueprint}

    def create_table(self, body: dict[str, Any]) -> Answer:
        table = {"id": f"table-{len(self.tables) + 1}", "workspace_id": 42, "title": body["title"]}
        self.tables[str(table["id"])] = table
        return 201, {"success": True, "table": table}

    def list_tables(self, body: dict[str, Any]) -> Answer:
        return 200, {"success": True, "data": [one for one in self.tables.values() if body["name"] in one["title"]]}

    def create_sheet(self, body: dict[str, Any], table: str) -> Answer:
        if table not in self.tables:
            return 404, {"message": "no such table"}
        sheet = {"id": f"sheet-{len(self.sheets) + 1}", "table_id": table, "title": body["title"]}
        self.sheets[str(sheet["id"])] = sheet
        return 201, {"success": True, "sheet": sheet}

    def list_sheets(self, body: dict[str, Any], table: str) -> Answer:
        return 200, {"success": True, "data": [one for one in self.sheets.values() if one["table_id"] == table]}

    def import_logs(self, body: dict[str, Any], table: str, sheet: str) -> Answer:
        if sheet not in self.sheets or not set(body["request_log_ids"]) <= set(self.logs):
            return 404, {"message": "no such sheet or request"}
        self.imports.setdefault(body["operation_id"], body | {"sheet": sheet})
        return 202, {"success": True, "operation_id": body["operation_id"]}

    def list_columns(self, body: dict[str, Any], table: str, sheet: str) -> Answer:
        done = [one for one in self.imports.values() if one["sheet"] == sheet]
        titles = done[0]["variables_to_parse"] if done else []
        return 200, {"success": True, "data": [{"id": f"{sheet}-{title}", "title": title} for title in titles]}

    def set_scorecard(self, body: dict[str, Any], table: str, sheet: str) -> Answer:
        if not {"name", "aggregation"} <= body.keys():
            return 422, {"detail": "name and aggregation are required"}
        self.scorecards[sheet] = body
        return 200, {"success": True, "scorecard": {"id": "s"}}

    def recalculate(self, body: dict[str, Any], table: str, sheet: str) -> Answer:
        return 202, {"success": True, "calculation_id": "c", "status": "queued"}


FILTERS: dict[tuple[str, str], Callable[[dict[str, Any], dict[str, Any]], bool]] = {
    ("metadata", "in"): lambda log, one: log["metadata"].get(one["nested_key"]) in one["value"],
    ("metadata", "key_equals"): lambda log, one: log["metadata"].get(one["nested_key"]) == one["value"],
    ("tags", "contains"): lambda log, one: one["value"] in log["tags"],
}
SHEET = r"/api/public/v2/tables/([^/]+)/sheets/([^/]+)"
ROUTES: dict[str, Callable[..., Answer]] = {
    "POST /log-request": ContractServer.log,
    "POST /(?:library-|rest/)track-score": ContractServer.score,
    "POST /create-group": ContractServer.create_group,
    "POST /(?:rest/)?track-group": ContractServer.track_group,
    "POST /prompt-templates/([^/]+)": ContractServer.get_template,
    "POST /api/public/v2/requests/search": ContractServer.search,
    "GET /api/public/v2/requests/([0-9]+)": ContractServer.get_request,
    "POST /api/public/v2/tables": ContractServer.create_table,
    "GET /api/public/v2/tables": ContractServer.list_tables,
    "POST /api/public/v2/tables/([^/]+)/sheets": ContractServer.create_sheet,
    "GET /api/public/v2/tables/([^/]+)/sheets": ContractServer.list_sheets,
    f"POST {SHEET}/imports/request-logs": ContractServer.import_logs,
    f"GET {SHEET}/columns": ContractServer.list_columns,
    f"PATCH {SHEET}/scorecard": ContractServer.set_scorecard,
    f"POST {SHEET}/scorecard/recalculate": ContractServer.recalculate,
}


@contextmanager
def serving(server: ContractServer) -> Iterator[ContractServer]:
    """Answer on a port of loopback until the end of the block."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    # A client that gave up waiting is what the tests are about, and no error to print.
    http.handle_error = lambda request, address: None  # type: ignore[method-assign]
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def _handler(server: ContractServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            with server.lock:
                fault = server.fault(parts.path, server.calls.total())
                server.calls[parts.path] += 1
            if self.headers.get("X-API-KEY", body.get("api_key")) not in server.keys:
                self.reply(401, {"message": f"{self.headers.get('X-API-KEY')} is not a key"})
            elif fault is None or fault in STORED:
                status, answer = server.answer(self.command, parts.path, parse_qs(parts.query), body)
                self.misbehave(fault, status, answer)
            elif fault == "stored late":
                time.sleep(SLOW_SECONDS)
                self.reply(*server.answer(self.command, parts.path, parse_qs(parts.query), body))
            else:
                self.misbehave(fault, 200, {})

        do_GET = do_PATCH = do_POST  # noqa: N815

        def misbehave(self, fault: Fault | None, status: int, answer: Any) -> None:
            if fault is None:
                self.reply(status, answer)
            elif fault in ("dropped", "stored and dropped"):
                self.close_connection = True
            elif fault in ("429", "429 and when"):
                self.reply(429, {"message": "slow down"}, {"Retry-After": "1"} if fault == "429 and when" else {})
            elif fault in ("500", "stored and 500"):
                self.reply(500, {"error": "oops"})
            elif fault in BODIES:
                self.reply(status, None, text=BODIES[fault])
            elif fault == "redirect":
                self.reply(307, {}, {"Location": "http://127.0.0.1:9/elsewhere"})
            elif fault == "endless":
                self.reply(status, None, {"Transfer-Encoding": "chunked"}, text="")
                self.go_on()
            else:
                self.dawdle(fault, status, answer)

        def go_on(self) -> None:
            """Answer until the other side has enough."""
            piece = b" " * 1_000_000
            with contextlib.suppress(OSError):
                for _ in range(100):
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.close_connection = True

        def dawdle(self, fault: Fault, status: int, answer: Any) -> None:
            """Say nothing for a while, or only half of it."""
            if fault == "half-closed":
                self.send_response(status)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'{"id":')
                self.wfile.flush()
            time.sleep(SLOW_SECONDS)
            if fault == "slow":
                self.reply(status, answer)
            self.close_connection = True

        def reply(
            self, status: int, answer: Any, headers: dict[str, str] | None = None, text: str | None = None
        ) -> None:
            content = (json.dumps(answer) if text is None else text).encode()
            try:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                if "Transfer-Encoding" not in (headers or {}):
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True

    return Handler
