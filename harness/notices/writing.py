"""A turn -> the notice of it."""

from __future__ import annotations

from pathlib import Path

from harness.history import PAGE
from harness.notices import Notice, Occasion
from harness.schedules import Schedule, Turn
from harness.schedules.cron import shown
from harness.stores.baselines import BaselineTable
from harness.stores.schedules import ScheduleTable
from harness.trends.events import events
from harness.trends.reading import histories

RESULTS: dict[int | None, Occasion] = {0: "PASS", 1: "REGRESSION", 2: "INCONCLUSIVE"}


def written(schedule: Schedule, turn: Turn, table: ScheduleTable, out: Path) -> Notice:
    """What a turn came to, whether that is a recovery, and which metrics have begun to drift."""
    occasions: list[Occasion] = [RESULTS.get(turn.exit_code, "ERROR")]
    before = [one for one in table.turns(schedule.name) if one.due < turn.due and one.state in ("done", "failed")]
    if turn.exit_code == 0 and before and before[0].exit_code != 0:
        occasions.append("RECOVERED")
    drifts = drifting(BaselineTable(table.file), turn.job) if turn.job else []
    if drifts:
        occasions.append("DRIFT")
    page = out / PAGE
    lines = tuple(filter(None, (turn.note, *drifts)))
    report = str(page.resolve()) if turn.job and page.is_file() else ""
    return Notice(schedule.name, schedule.plan, tuple(occasions), shown(schedule, turn.due), lines, turn.job, report)


def drifting(table: BaselineTable, job: str) -> list[str]:
    """A line for each metric whose drift is first seen in this job."""
    lines = []
    for history in histories(table) if table.metrics() else ():
        if history.blessed is None or history.points[-1].job != job:
            continue
        new = [one for one in events(history) if one.kind == "drift" and one.index == len(history.points) - 1]
        lines += [f"{history.candidate}: {history.metric}: {event.sentence}" for event in new]
    return lines
