"""Histories of a metric out of the store."""

from __future__ import annotations

import math
from itertools import groupby

from harness.errors import HarnessError
from harness.stores.baselines import Baseline, BaselineTable, PointRow
from harness.trends import History, Point
from suites.document import suggestion


def histories(
    table: BaselineTable, metric: str | None = None, plan: str | None = None, candidate: str | None = None
) -> list[History]:
    """One a metric, plan and candidate, or only those of these names. Raises HarnessError if there is none."""
    known = table.metrics()
    if not known:
        raise HarnessError("no history yet; `secateur store check --rebuild` makes that of stores of older versions")
    if metric is not None and metric not in known:
        hint = suggestion(metric, known) or ";"
        raise HarnessError(f"no history of {metric!r}{hint} there are: {', '.join(known)}")
    found = _of(table, metric)
    chosen = [one for one in found if plan in (None, one.plan) and candidate in (None, one.candidate)]
    if not chosen:
        there = ", ".join(dict.fromkeys(f"{one.plan}/{one.candidate}" for one in found))
        raise HarnessError(f"no history of {plan or 'any plan'}/{candidate or 'any candidate'}; there are: {there}")
    return chosen


def _of(table: BaselineTable, metric: str | None) -> list[History]:
    """Of one metric, or of all: opening the store costs more than what is read too much."""
    margins, baselines = table.margins(metric), table.baselines()
    groups = groupby(table.points(metric), key=lambda row: (row.metric, row.plan, row.candidate))
    return [_history(list(group), margins.get(key), baselines) for key, group in groups]


def _history(rows: list[PointRow], margin: float | None, baselines: list[Baseline]) -> History:
    known = [row for row in rows if row.after is not None and math.isfinite(row.after)]
    last = rows[-1]
    places = {(row.job, row.candidate): index for index, row in enumerate(known)}
    blessed = next((one for one in baselines if (one.job, one.candidate) in places), None)
    return History(
        last.plan,
        last.candidate,
        last.metric,
        last.unit,
        last.higher_is_better,
        last.n,
        tuple(_point(row) for row in known),
        margin,
        blessed.name if blessed else "",
        places[blessed.job, blessed.candidate] if blessed else None,
    )


def _point(row: PointRow) -> Point:
    return Point(row.started, row.job, row.fingerprint, row.after or 0.0, row.decision, row.before)
