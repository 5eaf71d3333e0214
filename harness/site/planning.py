"""Schedules and what came of their turns."""

from __future__ import annotations

from functools import partial

from harness.digest import digest
from harness.schedules import Schedule, Turn
from harness.schedules.cron import checked
from harness.site import Sheet, job_file, readable
from harness.stores.schedules import ScheduleTable
from reports.site.link import Link
from reports.site.pages import ScheduleRow, SchedulesPage, TurnRow

MOST_TURNS = 20
"""Of each schedule, the newest."""


def schedule_sheet(table: ScheduleTable) -> Sheet:
    """The page of the schedules there are, then of those that were removed and have turns."""
    turns: dict[str, list[Turn]] = {}
    for turn in table.turns():
        turns.setdefault(turn.schedule, []).append(turn)
    there = table.schedules()
    gone = sorted(turns.keys() - {one.name for one in there})
    rows = [ScheduleRow(one.name, _lines(one), _turns(turns.get(one.name, []))) for one in there]
    rows += [ScheduleRow(name, ("removed",), _turns(turns[name])) for name in gone]
    page = SchedulesPage(tuple(rows))
    return Sheet("schedules.html", digest(page), partial(SchedulesPage, page.schedules))


def _lines(schedule: Schedule) -> tuple[str, ...]:
    when = f"{checked(schedule.cron, schedule.timezone)}, {schedule.timezone} ({schedule.cron})"
    later = [f"up to {schedule.jitter_seconds} s later"] if schedule.jitter_seconds else []
    return (when, *later, f"plan {schedule.plan}", *([f"tells {schedule.notify}"] if schedule.notify else []))


def _turns(turns: list[Turn]) -> tuple[TurnRow, ...]:
    return tuple(
        TurnRow(
            readable(turn.due.isoformat()),
            turn.state,
            "" if turn.exit_code is None else str(turn.exit_code),
            Link(turn.job, job_file(turn.job) if turn.job else ""),
            turn.note,
        )
        for turn in turns[:MOST_TURNS]
    )
