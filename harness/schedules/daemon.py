"""Wait for due moments and start what runs them, until stopped. Nothing is kept in memory but what was said last."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from harness.schedules import Clock
from harness.schedules.cron import shown, until, upcoming
from harness.stores.schedules import ScheduleTable

LONGEST_SLEEP_SECONDS = 30.0
"""Meanwhile schedules are added, clocks are set and laptops sleep, so it looks again."""
RUN_DUE = "from harness.commands import main; main()"


def serve(
    table: ScheduleTable,
    clock: Clock,
    sleep: Callable[[float], None],
    launch: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Call `launch`, which returns when all that is due has run, whenever something is due. Ends by an exception."""
    said = ""
    while True:
        now, schedules = clock(), table.schedules()
        killed = table.turns(state="running")
        if killed or any(until(schedule, schedule.handled, now) for schedule in schedules):
            launch()
            now = clock()
        soonest = min(((upcoming(one, now), one) for one in schedules), key=lambda pair: pair[0], default=None)
        line = f"next: {soonest[1].name}, {shown(soonest[1], soonest[0])}" if soonest else "no schedule yet"
        if line != said:
            say(line)
            said = line
        seconds = (soonest[0] - now).total_seconds() if soonest else LONGEST_SLEEP_SECONDS
        sleep(min(max(seconds, 1.0), LONGEST_SLEEP_SECONDS))


def launched(out: Path) -> None:
    """`secateur schedule run-due` as a process of its own: a daemon that is killed takes no turn with it."""
    # -P: a folder of the user's named suites or reports is not to be taken for a package of ours.
    command = [sys.executable, "-P", "-c", RUN_DUE, "schedule", "run-due", "--out", str(out)]
    # In a session of its own: Ctrl-C is the daemon's, which ends the process; the turn is gone on with another time.
    subprocess.run(command, check=False, start_new_session=True)
