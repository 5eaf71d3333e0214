"""Run what is due: the latest of several missed turns, none while the one before is still going."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from harness.schedules import Clock, Lease, Schedule, State, Turn
from harness.schedules.cron import MOST_COUNTED, shown, until
from harness.schedules.lease import alive, kept, mine
from harness.stores.schedules import ScheduleTable
from harness.verdicts.outcome import COULD_NOT_FINISH

FIRST_PAUSE_SECONDS = 60.0
"""Before the first retry; each further pause is twice as long."""
MOST_INTERRUPTIONS = 3
"""A turn whose process died this often is given up: it may be what kills it."""
SEVERITY = (COULD_NOT_FINISH, 1, 2, 0)


@dataclass(frozen=True)
class Result:
    """What running a plan came to."""

    exit_code: int
    job: str = ""
    note: str = ""


@dataclass(frozen=True)
class Desk:
    """What running turns needs from outside."""

    table: ScheduleTable
    work: Callable[[Schedule], Result]
    tell: Callable[[Schedule, Turn], str]
    """Sends what a schedule's people asked for; returns what could not be sent, or nothing."""
    clock: Clock
    sleep: Callable[[float], None]
    say: Callable[[str], None]


def run_due(desk: Desk) -> int:
    """Run every schedule that is due, one after the other; returns the worst exit code of their turns."""
    lease = mine(desk.clock)
    holder = desk.table.take(lease, lambda other: alive(other, lease))
    if holder:
        _stand_back(desk, holder)
        return 0
    with kept(desk.table, lease, desk.clock):
        turns = [_resumed(desk, turn) for turn in desk.table.turns(state="running")]
        turns += [turn for schedule in desk.table.schedules() if (turn := _due(desk, schedule))]
    codes = [COULD_NOT_FINISH if turn.exit_code is None else turn.exit_code for turn in turns]
    return next((code for code in SEVERITY if code in codes), 0)


def _stand_back(desk: Desk, holder: Lease) -> None:
    """Another process runs turns: what is due of its schedule is skipped, the rest waits."""
    running = {turn.schedule: turn for turn in desk.table.turns(state="running")}
    for schedule in desk.table.schedules():
        moments = until(schedule, schedule.handled, desk.clock())
        turn = running.get(schedule.name)
        if moments and turn:
            _skip(desk, schedule, moments, f"the turn of {shown(schedule, turn.due)} still runs (process {holder.pid})")
        elif moments:
            desk.say(f"{schedule.name}: due, and waits for process {holder.pid} to end another turn")


def _skip(desk: Desk, schedule: Schedule, moments: list[datetime], why: str) -> None:
    now = desk.clock()
    more = f" and {len(moments) - 1} before" if len(moments) > 1 else ""
    desk.table.save(Turn(schedule.name, moments[-1], "skipped", now, now, note=why))
    desk.say(f"{schedule.name}: {shown(schedule, moments[-1])}{more} skipped: {why}")


def _due(desk: Desk, schedule: Schedule) -> Turn | None:
    """The schedule's turn, if it has one now."""
    moments = until(schedule, schedule.handled, desk.clock())
    if not moments:
        return None
    ends = [turn.finished for turn in desk.table.turns(schedule.name) if turn.state != "skipped" and turn.finished]
    last = max(ends, default=schedule.handled)
    overlapped = [moment for moment in moments if moment <= last]
    if overlapped:
        _skip(desk, schedule, overlapped, "the turn before was still running")
    due = moments[len(overlapped) :]
    if not due:
        return None
    return _run(desk, schedule, Turn(schedule.name, due[-1], "running", desk.clock(), note=_missed(len(due) - 1)))


def _missed(number: int) -> str:
    if number < 2:
        return "1 due moment before was missed" if number else ""
    more = " or more" if number == MOST_COUNTED - 1 else ""
    return f"{number}{more} due moments before were missed"


def _resumed(desk: Desk, turn: Turn) -> Turn:
    """Go on with a turn whose process died."""
    schedule = next((one for one in desk.table.schedules() if one.name == turn.schedule), None)
    if schedule is None or turn.attempts >= MOST_INTERRUPTIONS:
        why = f"given up: its process was killed in attempt {turn.attempts}" if schedule else "the schedule was removed"
        return _ended(desk, schedule, replace(turn, state="failed", note=why))
    return _run(desk, schedule, replace(turn, note="its process died; went on where it stopped"))


def _run(desk: Desk, schedule: Schedule, turn: Turn) -> Turn:
    """Work until there is a verdict or no retry is left."""
    desk.say(f"{schedule.name}: due {shown(schedule, turn.due)}, {turn.note or 'on time'}; {schedule.plan}")
    tried, pause = _attempt(desk, schedule, turn, 1), FIRST_PAUSE_SECONDS
    for retry in range(schedule.retries):
        if tried.state == "done":
            break
        desk.say(f"{schedule.name}: {tried.note}; again in {pause:.0f} s")
        desk.sleep(pause)
        tried, pause = _attempt(desk, schedule, turn, retry + 2), 2 * pause
    return _ended(desk, schedule, tried)


def _attempt(desk: Desk, schedule: Schedule, turn: Turn, number: int) -> Turn:
    """The turn as it is after one attempt; kept as running before it, so that a killed attempt is known."""
    attempted = replace(turn, attempts=turn.attempts + number)
    desk.table.save(attempted)
    result = desk.work(schedule)
    state: State = "failed" if result.exit_code == COULD_NOT_FINISH else "done"
    return replace(
        attempted, state=state, exit_code=result.exit_code, job=result.job, note=_joined(turn.note, result.note)
    )


def _ended(desk: Desk, schedule: Schedule | None, turn: Turn) -> Turn:
    """Keep what a turn came to, then tell it: a message that cannot be sent changes nothing."""
    turn = replace(turn, finished=desk.clock())
    desk.table.save(turn)
    code = f", exit code {turn.exit_code}" if turn.exit_code is not None else ""
    desk.say(f"{turn.schedule}: {turn.state}{code}{': ' + turn.note if turn.note else ''}")
    unsent = desk.tell(schedule, turn) if schedule else ""
    if unsent:
        desk.say(f"{turn.schedule}: {unsent}")
        desk.table.save(replace(turn, note=_joined(turn.note, unsent)))
    return turn


def _joined(*notes: str) -> str:
    return "; ".join(note.removesuffix(".") for note in notes if note)
