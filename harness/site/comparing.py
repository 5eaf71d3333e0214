"""Any two runs side by side: what each measured, and what was concluded where they were compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from harness.digest import digest
from harness.site import Sheet, job_file, readable
from harness.site.shelf import Shelf
from harness.stores import Job, VerdictRow
from reports.site.pages import ComparePage


def compare_sheet(shelf: Shelf) -> Sheet:
    """The page that compares; its data is compact, since it holds every number of every run."""
    data = _data(shelf)
    return Sheet("compare.html", digest(data), partial(ComparePage, data, len(data["runs"])))


def _data(shelf: Shelf) -> dict[str, Sequence[object]]:
    """metrics, runs and pairs of runs that were compared, as templates/site/scripts/compare.js has their types.

    Where a run or a metric is meant, its number in the list stands for it.
    """
    metrics: dict[tuple[str, str, bool], int] = {}
    listed: list[object] = []
    pairs: list[object] = []

    for job in reversed(shelf.overview.jobs):
        for row in _judged(shelf, job):
            before: list[object] = []
            after: list[object] = []
            drops: list[object] = []
            for delta in shelf.overview.deltas.get((job.id, row.candidate), ()):
                number = metrics.setdefault((delta.metric, delta.unit, delta.higher_is_better), len(metrics))
                for side, value in ((before, delta.before), (after, delta.after)):
                    if _number(value) is not None:
                        side.append([number, value, delta.n])
                bounds = [_number(value) for value in (delta.drop, delta.low, delta.high)]
                if bounds[0] is not None:
                    drops.append([number, *bounds])
            file, label = job_file(job.id), f"{job.plan_name}, {readable(job.started)}: "
            pairs.append([len(listed), len(listed) + 1, row.decision, drops])
            listed.append([row.before_run, f"{label}original beside {row.candidate}", file, before, True])
            listed.append([row.after_run, label + row.candidate, file, after, False])
    return {"metrics": [list(metric) for metric in metrics], "runs": listed, "pairs": pairs}


def _judged(shelf: Shelf, job: Job) -> list[VerdictRow]:
    return [row for row in shelf.overview.verdicts.get(job.id, ()) if row.before_run]


def _number(value: float | None) -> float | None:
    """None too for what JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None
