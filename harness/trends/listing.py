"""A history as lines: chart, table, and what is unusual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.statistics import shifts
from harness.trends import Event, History
from harness.trends.chart import chart
from harness.trends.events import exact
from reports.figures import difference, quantity

LETTERS = {"outlier": "o", "change": "c", "drift": "d"}
LEGEND = "* a run   c first run of a new level   o outlier   d drift   B baseline"


def overview(found: Sequence[tuple[History, Sequence[Event]]]) -> Iterator[str]:
    """A line a history, with what holds now."""
    rows = [("plan", "candidate", "metric", "runs", "now", "unusual now")]
    for history, events in found:
        value = quantity(history.points[-1].value if history.points else None, history.unit)
        unusual = "; ".join(event.sentence for event in events if event.now)
        rows.append((history.plan, history.candidate, history.metric, str(len(history.points)), value, unusual))
    *names, runs, now = (max(map(len, column)) for column in list(zip(*rows, strict=True))[:5])
    for *head, count, value, unusual in rows:
        cells = [cell.ljust(width) for cell, width in zip(head, names, strict=True)]
        yield "  ".join([*cells, count.rjust(runs), value.rjust(now), unusual]).rstrip()


def shown(history: History, events: Sequence[Event], last: int) -> Iterator[str]:
    """Chart and table of the last runs, then every event. last: rows of the table."""
    yield f"{history.metric} of {history.candidate} in plan {history.plan}, {_runs(len(history.points))}"
    if not history.points:
        yield "  no run has a value"
        return
    values = [point.value for point in history.points]
    marks = {event.index: LETTERS[event.kind] for event in events}
    level = None
    if history.blessed is not None:
        level = values[history.blessed]
        marks[history.blessed] = "B"
    yield from chart(values, marks, level, lambda value: quantity(value, history.unit))
    yield f"{'':11}{LEGEND}"
    yield from _table(history, marks, last)
    yield from _said(history, events)


def _table(history: History, marks: dict[int, str], last: int) -> Iterator[str]:
    yield f"  {'started':18}{'job':10}{'value':>12}{'step':>14}  verdict"
    for index in range(max(0, len(history.points) - last), len(history.points)):
        point = history.points[index]
        change = point.value - history.points[index - 1].value if index else 0.0
        step = difference(change, history.unit) if change else ""
        value = quantity(point.value, history.unit)
        row = f"  {point.started:%Y-%m-%d %H:%M}  {point.job:10}{value:>12}{step:>14}  {point.decision:14}"
        yield f"{row}{marks.get(index, '')}".rstrip()


def _said(history: History, events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        point = history.points[event.index]
        over = "" if event.now or event.kind == "outlier" else "; over since"
        yield f"  {point.started:%Y-%m-%d %H:%M}  {event.sentence}{over}"
    if not exact(history) and len(history.points) < shifts.FEWEST_RUNS:
        yield f"  changes and drift are looked for from {shifts.FEWEST_RUNS} runs on"
    elif not events:
        yield "  nothing unusual"
    if history.blessed is None:
        yield "  no baseline among these runs: `secateur baseline bless JOB` names one, and drift from it is then seen"


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"
