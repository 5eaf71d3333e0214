"""Schedules as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from harness.schedules import Schedule
from harness.schedules.cron import checked, shown, upcoming
from harness.stores.schedules import ScheduleTable

TURNS_SHOWN = 3


def described(schedule: Schedule, now: datetime) -> list[str]:
    """What a schedule does and when it is next."""
    words = f"{checked(schedule.cron, schedule.timezone)}, {schedule.timezone}"
    later = f", up to {schedule.jitter_seconds} s later" if schedule.jitter_seconds else ""
    told = [f"  tells    {schedule.notify}"] if schedule.notify else []
    return [
        f"{schedule.name}: {words}{later} ({schedule.cron})",
        f"  plan     {schedule.plan}",
        *told,
        f"  next     {shown(schedule, upcoming(schedule, now))}",
    ]


def listed(table: ScheduleTable, now: datetime) -> Iterator[str]:
    """Every schedule with its last turns."""
    schedules = table.schedules()
    if not schedules:
        yield "no schedule yet: `secateur schedule add PLAN --cron '0 3 * * *'` makes one"
    for schedule in schedules:
        yield from described(schedule, now)
        for turn in table.turns(schedule.name)[:TURNS_SHOWN]:
            code = f", exit code {turn.exit_code}" if turn.exit_code is not None else ""
            job = f", job {turn.job}" if turn.job else ""
            yield f"  {shown(schedule, turn.due)}  {turn.state}{code}{job}{': ' + turn.note if turn.note else ''}"
