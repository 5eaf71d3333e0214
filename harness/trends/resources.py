"""What each candidate needs and costs, job after job, and beside its original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness import metrics
from harness.trends import History
from reports.figures import quantity

HEAD = ("plan", "candidate", "metric", "runs", "first", "least", "most", "now", "of the original now")
TEXTS = 3
"""Columns of names, which begin at the left."""


def is_resource(metric: str) -> bool:
    """Whether one of the meters of a plan reads it: size, memory, speed and what else there is."""
    return metric.partition(".")[0] in metrics.names()


def used(histories: Iterable[History]) -> Iterator[str]:
    """A line a history, by plan and candidate.

    Readings of time and memory change with the machine; the share of the original, read in the same job, hardly does.
    """
    rows = [HEAD, *sorted(_cells(history) for history in histories if history.points)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        names = [cell.ljust(width) for cell, width in zip(row[:TEXTS], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[TEXTS:], widths[TEXTS:], strict=True)]
        yield "  ".join([*names, *numbers])


def _cells(history: History) -> tuple[str, ...]:
    values = [point.value for point in history.points]
    last = history.points[-1]
    shown = [quantity(value, history.unit) for value in (values[0], min(values), max(values), last.value)]
    share = f"{last.value / last.original:.3f}" if last.original else "-"
    return (history.plan, history.candidate, history.metric, str(len(values)), *shown, share)
