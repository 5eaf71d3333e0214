"""Schedules, their turns and the lease, beside the facts in one DuckDB file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from harness.errors import HarnessError
from harness.schedules import Lease, Place, Schedule, State, Turn
from harness.stores.file import DuckdbFile
from harness.stores.rows import Connection, Row
from suites.document import suggestion

SCHEDULE = "name, plan, cron, timezone, jitter_seconds, retries, notify, handled, permissions"
TURN = "schedule, due, state, started, finished, attempts, exit_code, job, note"
LEASE = "pid, process_started, host, boot, space, taken, renewed"


class ScheduleTable:
    """Every method is one transaction; what has returned survives a SIGKILL."""

    def __init__(self, file: DuckdbFile) -> None:
        self.file = file

    def add(self, schedule: Schedule) -> None:
        """Raises HarnessError if the name is taken."""

        def work(db: Connection) -> None:
            if db.execute("SELECT name FROM schedules WHERE name = ?", [schedule.name]).fetchone():
                raise HarnessError(
                    f"there is a schedule {schedule.name!r} already; choose another --name, or remove it first"
                )
            db.execute(f"INSERT INTO schedules ({SCHEDULE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _values(schedule))

        self.file.transaction(work)

    def remove(self, name: str) -> None:
        """Forget a schedule; its turns stay. Raises HarnessError if there is none."""

        self.schedule(name)
        self.file.execute("DELETE FROM schedules WHERE name = ?", [name])

    def schedules(self) -> list[Schedule]:
        """By name."""
        return [_schedule(row) for row in self.file.rows(f"SELECT {SCHEDULE} FROM schedules ORDER BY name")]

    def schedule(self, name: str | None) -> Schedule:
        """The one of this name, or the only one there is. Raises HarnessError if there is none such."""
        known = {one.name: one for one in self.schedules()}
        if name is None and len(known) == 1:
            return next(iter(known.values()))
        if name not in known:
            asked = "give the name of a schedule" if name is None else f"no schedule {name!r}"
            hint = suggestion(name or "", known) or ";"
            raise HarnessError(f"{asked}{hint} there are: {', '.join(known) or 'none'}")
        return known[name]

    def turns(self, schedule: str | None = None, state: State | None = None) -> list[Turn]:
        """Newest first, of one schedule or all, in one state or any."""
        where = "(? IS NULL OR schedule = ?) AND (? IS NULL OR state = ?)"
        values = [schedule, schedule, state, state]
        rows = self.file.rows(f"SELECT {TURN} FROM turns WHERE {where} ORDER BY due DESC, started DESC", values)
        return [_turn(row) for row in rows]

    def save(self, turn: Turn) -> None:
        """Write a turn, new or changed, and that its due moment is taken care of."""

        def work(db: Connection) -> None:
            db.execute(f"INSERT OR REPLACE INTO turns ({TURN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _values(turn))
            db.execute(
                "UPDATE schedules SET handled = ? WHERE name = ? AND handled < ?",
                [_text(turn.due), turn.schedule, _text(turn.due)],
            )

        self.file.transaction(work)

    def take(self, lease: Lease, alive: Callable[[Lease], bool]) -> Lease | None:
        """Take the lease, or return that of the holder who has it and is alive."""

        def work(db: Connection) -> Lease | None:
            row = db.execute(f"SELECT {LEASE} FROM leases").fetchone()
            holder = _lease(row) if row else None
            if holder and alive(holder):
                return holder
            db.execute("DELETE FROM leases")
            db.execute(f"INSERT INTO leases ({LEASE}) VALUES (?, ?, ?, ?, ?, ?, ?)", _values(lease))
            return None

        return self.file.transaction(work)

    def renew(self, lease: Lease, now: datetime) -> None:
        where = "pid = ? AND taken = ?"
        self.file.execute(f"UPDATE leases SET renewed = ? WHERE {where}", [_text(now), lease.pid, _text(lease.taken)])

    def release(self, lease: Lease) -> None:
        self.file.execute("DELETE FROM leases WHERE pid = ? AND taken = ?", [lease.pid, _text(lease.taken)])


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _values(record: Schedule | Turn | Lease | Place) -> list[Any]:
    """In the order of the columns; a moment as text, a place as its fields."""
    values: list[Any] = []
    for value in vars(record).values():
        if isinstance(value, Place):
            values += _values(value)
        else:
            values.append(_text(value) if isinstance(value, datetime) else value)
    return values


def _schedule(row: Row) -> Schedule:
    name, plan, cron, timezone, jitter_seconds, retries, notify, handled, permissions = row
    moment = datetime.fromisoformat(handled)
    return Schedule(name, plan, cron, timezone, jitter_seconds, retries, notify, moment, permissions)


def _turn(row: Row) -> Turn:
    schedule, due, state, started, finished, *rest = row
    begun, ended = datetime.fromisoformat(started), datetime.fromisoformat(finished) if finished else None
    return Turn(schedule, datetime.fromisoformat(due), state, begun, ended, *rest)


def _lease(row: Row) -> Lease:
    pid, born, host, boot, space, taken, renewed = row
    return Lease(pid, born, Place(host, boot, space), datetime.fromisoformat(taken), datetime.fromisoformat(renewed))
