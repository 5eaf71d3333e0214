"""PromptLayer's tables: one a candidate, with a sheet a side that is filled from the requests and has a scorecard.

A place is "workspace/table" or "workspace/table/sheet": what paths and links are made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from harness.stores.outbox import Taken
from harness.telling.outbox import NotSentError, Reply

TABLES = "/api/public/v2/tables"
MOST_IMPORTED = 50_000
PASS, WARN = 0.8, 0.6
"""Where a scorecard turns green or yellow; PromptLayer's own example."""


class Call(Protocol):
    """One HTTP call; returns the JSON object it answers, or raises NotSentError."""

    def __call__(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]: ...


class Url(Protocol):
    """Where people see a table or a sheet."""

    def __call__(self, workspace: str, table: str, sheet: str | None = None) -> str: ...


class Tables:
    """Letters of the kinds table, sheet, import and scorecard."""

    def __init__(self, call: Call, url: Url) -> None:
        self.call = call
        self.url = url

    def table(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        return self._table_reply(self.call("POST", TABLES, payload | {"create_default_sheet": False}).get("table"))

    def sheet(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        answer = self.call("POST", f"{_path(taken.needed[0])}/sheets", payload)
        return self._reply(f"{taken.needed[0]}/{identity(answer.get('sheet'))}")

    def titled(self, taken: Taken) -> Reply | None:
        """The table or sheet that a letter has become; the titles of tables hold the job, so there is no other."""
        title = json.loads(taken.letter.payload)["title"]
        if taken.letter.kind == "table":
            table = _titled(self.call("GET", TABLES, params={"name": title}), "tables", title)
            return None if table is None else self._table_reply(table)
        sheet = _titled(self.call("GET", f"{_path(taken.needed[0])}/sheets"), "sheets", title)
        return None if sheet is None else self._reply(f"{taken.needed[0]}/{identity(sheet)}")

    def rows(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        """Fill a sheet. The operation's id is ours, so that an import sent twice is one import."""
        if not taken.requests:
            raise NotSentError("refused", "no request of this run arrived, so there is nothing to import")
        chosen = {"request_log_ids": taken.requests[:MOST_IMPORTED], "operation_id": taken.letter.id}
        self.call("POST", f"{_path(taken.needed[0])}/imports/request-logs", payload | chosen)
        return Reply(taken.letter.id)

    def scorecard(self, taken: Taken, payload: dict[str, Any]) -> Reply:
        """The mean of one column; the original's sheet is the baseline of the candidate's."""
        sheet, _, *baseline = taken.needed
        columns = listed(self.call("GET", f"{_path(sheet)}/columns"), "columns")
        column = next((identity(one) for one in columns if one.get("title") == payload["column"]), None)
        if column is None:
            raise NotSentError("unsure", f"the sheet has no column {payload['column']} yet")
        self.call("PATCH", f"{_path(sheet)}/scorecard", _scorecard(payload["name"], column, baseline))
        self.call("POST", f"{_path(sheet)}/scorecard/recalculate", {})
        return Reply(sheet)

    def _table_reply(self, table: object) -> Reply:
        workspace = table.get("workspace_id") if isinstance(table, dict) else None
        return self._reply(f"{identity({'id': workspace})}/{identity(table)}")

    def _reply(self, place: str) -> Reply:
        return Reply(place, self.url(*place.split("/")))


def _titled(answer: dict[str, Any], name: str, title: str) -> dict[str, Any] | None:
    """The one of this title. Raises NotSentError if it may be on another page."""
    found = next((one for one in listed(answer, name) if one.get("title") == title), None)
    if found is None and (answer.get("has_next") or answer.get("next_cursor")):
        raise NotSentError("unsure", f"the list of {name} goes on")
    return found


def _path(place: str) -> str:
    _, table, *sheet = place.split("/")
    return f"{TABLES}/{table}" + (f"/sheets/{sheet[0]}" if sheet else "")


def _scorecard(name: str, column: str, baseline: list[str]) -> dict[str, Any]:
    """baseline: the place of the original's sheet, or nothing."""
    mean = {"source": column, "aggregation_type": "average_value", "score_mode": "score", "score_max": 100}
    step = {
        "title": name,
        "primitive_type": "COLUMN_AGGREGATE",
        "source_column_ids": [column],
        "weight": 1,
        "required": False,
        "thresholds": {"pass": PASS, "warn": WARN},
        "primitive_config": mean,
    }
    return {
        "name": name,
        "evaluated_column_ids": [column],
        "aggregation": {
            "method": "weighted_mean",
            "required_step_failure_behavior": "fail",
            "pass_threshold": PASS,
            "warn_threshold": WARN,
        },
        "steps": [step],
        "baseline_config": {"name": "original", "sheet_id": baseline[0].split("/")[2]} if baseline else None,
    }


def identity(answer: object) -> str:
    """The id of what was made. It becomes part of paths and links, so it must look like one."""
    found = answer.get("id") if isinstance(answer, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | str) or not re.fullmatch(r"[\w-]{1,64}", str(found)):
        raise NotSentError("unsure", "the answer holds no id")
    return str(found)


def number_of(answer: object) -> int:
    """The id of a request or a group, which is a number."""
    found = identity(answer)
    if not found.isdecimal():
        raise NotSentError("unsure", "the answer holds no id")
    return int(found)


def listed(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a listing, under whichever of the names PromptLayer uses.

    Raises NotSentError if there is no listing: that is not the same as an empty one, after which all is sent again.
    """
    found = next((answer[key] for key in ("data", name, "items") if isinstance(answer.get(key), list)), None)
    if found is None:
        raise NotSentError("unsure", f"the answer holds no list of {name}")
    return [one for one in found if isinstance(one, dict)]
