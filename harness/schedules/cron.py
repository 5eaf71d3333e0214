"""When a cron expression is due, in a time zone with its daylight saving. The only module that imports cronsim.

Where clocks skip an hour or repeat one, fixed times follow Debian's cron: a time that does not exist comes at the first
minute after the gap, a time that comes twice counts the first time. `*` and `*/n` go by elapsed time.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from harness.errors import HarnessError
from harness.schedules import Schedule
from suites.document import suggestion

FIELDS = 5
MOST_COUNTED = 1000
LOOK_BACK = tuple(timedelta(hours=hours) for hours in (1, 24, 24 * 32, 24 * 366))
"""Windows before now in which the latest due moment is looked for: a year away is not walked minute by minute."""


def checked(cron: str, timezone: str) -> str:
    """The expression in words. Raises HarnessError if it, or the time zone, is not one."""
    now = datetime.now(_zone(timezone))
    try:
        if len(cron.split()) != FIELDS:
            raise CronSimError(f"it has {len(cron.split())} fields")
        simulated = CronSim(cron, now)
        next(simulated)
    except CronSimError as error:
        raise HarnessError(
            f"--cron {cron!r}: {error}; give five fields, minute hour day-of-month month day-of-week: '0 3 * * *'"
        ) from error
    except StopIteration as error:
        raise HarnessError(f"--cron {cron!r} is never due; check day and month") from error
    return simulated.explain()


def firings(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Due moments later than `after`, in UTC, without end."""
    last = after
    for moment in CronSim(schedule.cron, after.astimezone(_zone(schedule.timezone))):
        # In the repeated hour of autumn cronsim starts from the first of both, so it may look back.
        if moment.astimezone(UTC) > last:
            last = moment.astimezone(UTC)
            yield last


def until(schedule: Schedule, after: datetime, now: datetime) -> list[datetime]:
    """Due moments later than `after` whose jitter is over; at most MOST_COUNTED of them, the latest always."""

    def between(start: datetime) -> list[datetime]:
        found: list[datetime] = []
        for moment in islice(firings(schedule, start), MOST_COUNTED):
            if moment + jitter(schedule, moment) > now:
                break
            found.append(moment)
        return found

    counted = between(after)
    if len(counted) < MOST_COUNTED:
        return counted
    latest = next((recent for window in LOOK_BACK if (recent := between(max(after, now - window)))), counted)
    return [*counted[: MOST_COUNTED - 1], latest[-1]]


def jitter(schedule: Schedule, moment: datetime) -> timedelta:
    """The delay of one due moment, 0 to jitter_seconds: always the same on one machine, and another on the next."""
    seed = hashlib.sha256(f"{platform.node()}\0{schedule.name}\0{moment.isoformat()}".encode()).digest()
    return timedelta(seconds=schedule.jitter_seconds * int.from_bytes(seed[:4], "big") / 2**32)


def upcoming(schedule: Schedule, now: datetime) -> datetime:
    """When the next turn begins, in the schedule's time zone."""
    start = max(schedule.handled, now - timedelta(seconds=schedule.jitter_seconds))
    begins = next(begin for moment in firings(schedule, start) if (begin := moment + jitter(schedule, moment)) > now)
    return begins.astimezone(_zone(schedule.timezone))


def shown(schedule: Schedule, moment: datetime) -> str:
    """A moment as the schedule's people read it: "2026-03-29 03:00 CEST"."""
    return moment.astimezone(_zone(schedule.timezone)).strftime("%Y-%m-%d %H:%M %Z")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = suggestion(name, available_timezones()) or ";"
        raise HarnessError(f"--timezone {name!r} is not known{hint} give one such as Europe/Berlin or UTC") from error
