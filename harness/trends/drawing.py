"""Histories for the page: those of the metrics that gates look at, up to the job that is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.errors import HarnessError
from harness.stores.baselines import BaselineTable
from harness.trends import History
from harness.trends.events import events
from harness.trends.reading import histories
from reports.page import TrendRow

FEWEST_DRAWN = 3
"""Two points are no history; the page has them as before and after."""


def drawn(table: BaselineTable, plan: str, candidate: str, job: str, metrics: Sequence[str]) -> Iterator[TrendRow]:
    """One row a metric with a history. metrics: their names, each once."""
    for metric in dict.fromkeys(metrics):
        try:
            (history,) = histories(table, metric, plan, candidate)
        except HarnessError:
            # A job from before there were histories, or the first one: the page does without.
            continue
        past = _until(history, job)
        if len(past.points) >= FEWEST_DRAWN:
            yield trend_row(past)


def _until(history: History, job: str) -> History:
    """Without what came after this job."""
    number = next((index for index, point in enumerate(history.points) if point.job == job), -1)
    known = history.blessed is not None and history.blessed <= number
    return replace(history, points=history.points[: number + 1], blessed=history.blessed if known else None)


def trend_row(history: History) -> TrendRow:
    """A history in one line of a table."""
    values = tuple(point.value for point in history.points)
    blessed = history.blessed
    return TrendRow(
        metric=history.metric,
        unit=history.unit,
        values=values,
        since=f"{history.points[0].started:%Y-%m-%d}",
        baseline=values[blessed] if blessed is not None else None,
        name=history.baseline if blessed is not None else "",
        notes=tuple(f"{history.points[one.index].started:%Y-%m-%d} {one.sentence}" for one in events(history)[-3:]),
    )
