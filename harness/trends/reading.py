"""Histories of a metric out of the store."""

from __future__ import annotations

import math
from itertools import groupby

from harness.errors import HarnessError
from harness.stores.baselines import Baseline, BaselineTable, PointRow
from harness.trends import History, Point
from suites.document import suggestion


def histories(
    table: BaselineTable, metric: str, plan: str | None = None, candidate: str | None = None
) -> list[History]:
    """One a plan and candidate. Raises HarnessError for a metric, plan or candidate that has none."""
    rows = table.points(metric)
    if not rows:
        known = table.metrics()
        hint = suggestion(metric, known) or ";"
        raise HarnessError(f"no history of {metric!r}{hint} there are: {', '.join(known) or 'none'}")
    chosen = [row for row in rows if plan in (None, row.plan) and candidate in (None, row.candidate)]
    if not chosen:
        there = ", ".join(dict.fromkeys(f"{row.plan}/{row.candidate}" for row in rows))
        raise HarnessError(f"no history of {metric!r} for plan {plan} and candidate {candidate}; there are: {there}")
    margins, baselines = table.margins(metric), table.baselines()
    groups = groupby(chosen, key=lambda row: (row.plan, row.candidate))
    return [_history(metric, list(group), margins.get(key), baselines) for key, group in groups]


def _history(metric: str, rows: list[PointRow], margin: float | None, baselines: list[Baseline]) -> History:
    known = [row for row in rows if row.after is not None and math.isfinite(row.after)]
    last = rows[-1]
    places = {(row.job, row.candidate): index for index, row in enumerate(known)}
    blessed = next((one for one in baselines if (one.job, one.candidate) in places), None)
    return History(
        last.plan,
        last.candidate,
        metric,
        last.unit,
        last.higher_is_better,
        last.n,
        tuple(Point(row.started, row.job, row.fingerprint, row.after or 0.0, row.decision) for row in known),
        margin,
        blessed.name if blessed else "",
        places[blessed.job, blessed.candidate] if blessed else None,
    )
