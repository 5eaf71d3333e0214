"""What was tried: verdicts on candidates that were made from recipes, as one DuckDB file has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from harness.stores.file import DuckdbFile


@dataclass(frozen=True)
class AttemptRow:
    """One candidate made from a recipe, and what became of it in one job."""

    plan: str
    setting: dict[str, Any]
    """The plan's content but for its candidates."""
    candidate: str
    run: str
    recipe: dict[str, Any]
    decision: str
    findings: tuple[dict[str, Any], ...]


def attempts(file: DuckdbFile) -> list[AttemptRow]:
    """Oldest first; candidates that could not be judged are left out."""
    rows = file.rows(
        "SELECT j.plan_name, j.plan, v.candidate, v.after_run, r.receipt->'$.recipe', v.decision, v.findings"
        " FROM verdicts v JOIN jobs j ON j.id = v.job JOIN receipts r ON r.run = v.after_run"
        " WHERE v.decision != 'ERROR' ORDER BY j.started, v.candidate",
    )
    return [_attempt(*row) for row in rows]


def _attempt(
    plan: str, content: str, candidate: str, run: str, recipe: str, decision: str, findings: str
) -> AttemptRow:
    setting = {key: value for key, value in json.loads(content).items() if key != "candidates"}
    found = tuple(json.loads(findings))
    return AttemptRow(plan, setting, candidate, run, json.loads(recipe), decision, found)
