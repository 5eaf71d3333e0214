"""Every history of a metric: all in lines on one page, and large on a page a plan and candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from statistics import median

from harness.digest import digest
from harness.errors import HarnessError
from harness.site import Sheet, history_file, job_file, readable
from harness.site.shelf import word
from harness.stores.baselines import BaselineTable
from harness.trends import History
from harness.trends.drawing import trend_row
from harness.trends.events import events
from harness.trends.reading import histories
from reports.site.histories import HistoryPage, HistoryPart, HistoryPoint, Mark, TrendGroup, TrendsPage
from reports.site.link import Link


def history_sheets(table: BaselineTable) -> Iterator[Sheet]:
    """The pages of all histories."""
    found = sorted(_stored(table), key=lambda one: (one.plan, one.candidate, one.metric))
    groups = [list(group) for _, group in groupby(found, key=lambda one: (one.plan, one.candidate))]
    for group in groups:
        name = history_file(group[0].plan, group[0].candidate)
        yield Sheet(name, digest(group), partial(_history_page, group))
    yield Sheet("trends.html", digest(found), partial(_trends_page, groups))


def _stored(table: BaselineTable) -> list[History]:
    """Those that hold a value."""
    try:
        return [history for history in histories(table) if history.points]
    except HarnessError:
        return []


def _trends_page(groups: Sequence[Sequence[History]]) -> TrendsPage:
    return TrendsPage(tuple(_group(group) for group in groups))


def _group(group: Sequence[History]) -> TrendGroup:
    plan, candidate = group[0].plan, group[0].candidate
    rows = tuple(trend_row(history) for history in group)
    return TrendGroup(plan, candidate, Link("large", history_file(plan, candidate)), rows)


def _history_page(group: Sequence[History]) -> HistoryPage:
    return HistoryPage(group[0].plan, group[0].candidate, tuple(_part(history) for history in group))


def _part(history: History) -> HistoryPart:
    found = events(history)
    marks: dict[int, list[Mark]] = {}
    for event in found:
        marks.setdefault(event.index, []).append(event.kind)
    if history.blessed is not None:
        marks.setdefault(history.blessed, []).append("baseline")
    values = [point.value for point in history.points]
    points = tuple(
        HistoryPoint(
            readable(point.started.isoformat()),
            Link(point.job, job_file(point.job)),
            point.value,
            word(point.decision),
            tuple(marks.get(index, ())),
        )
        for index, point in enumerate(history.points)
    )
    return HistoryPart(
        history.metric,
        history.unit,
        points,
        tuple(_levels(values, [event.index for event in found if event.kind == "change"])),
        None if history.blessed is None else values[history.blessed],
        history.baseline if history.blessed is not None else "",
        tuple(f"{history.points[event.index].started:%Y-%m-%d} {event.sentence}" for event in found),
        "higher" if history.higher_is_better else "lower",
    )


def _levels(values: Sequence[float], changes: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Where each level begins and how high it is; none where nothing has changed."""
    starts = [0, *changes] if changes else []
    for start, end in zip(starts, [*changes, len(values)], strict=False):
        yield start, median(values[start:end])
