"""Schedules under clocks that are handed in: daylight saving, missed turns, overlap, retries, and processes killed."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.schedules import Lease, Place, Schedule, Turn
from harness.schedules.cron import checked, firings, jitter, until, upcoming
from harness.schedules.daemon import serve
from harness.schedules.lease import alive, mine
from harness.schedules.turns import Desk, Result, run_due
from harness.stores.file import DuckdbFile
from harness.stores.schedules import ScheduleTable

ROOT = Path(__file__).parents[2]
START = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def schedule(cron: str = "0 3 * * *", timezone: str = "UTC", **other: object) -> Schedule:
    made = Schedule("nightly", "demo", cron, timezone, 0, 0, None, START)
    return replace(made, **other)  # type: ignore[arg-type]


@dataclass
class Bench:
    """A desk whose clock stands until it is moved, and whose work takes as long and ends as it is told."""

    table: ScheduleTable
    now: datetime = START
    takes: timedelta = timedelta(minutes=10)
    codes: list[int] = field(default_factory=list)
    unsent: str = ""
    worked: int = 0
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    told: list[Turn] = field(default_factory=list)

    def work(self, schedule: Schedule) -> Result:
        self.worked += 1
        self.now += self.takes
        code = self.codes.pop(0) if self.codes else 0
        return Result(code, "job1", "no disk" if code == 3 else "")

    def tell(self, schedule: Schedule, turn: Turn) -> str:
        self.told.append(turn)
        return self.unsent

    def run_due(self) -> int:
        return run_due(Desk(self.table, self.work, self.tell, lambda: self.now, self.slept.append, self.said.append))


@pytest.fixture
def bench(tmp_path: Path, empty: Path) -> Bench:
    return Bench(ScheduleTable(DuckdbFile(Path(shutil.copy(empty, tmp_path)), 60)))


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Berlin, 2026-03-29: 02:00 CET is 03:00 CEST; a time that does not exist comes right after the gap.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]),
        ("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-30T01:00Z"]),
        # Berlin, 2026-10-25: 03:00 CEST is 02:00 CET; a time that comes twice counts once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
        # Asked between its two comings, the second is not a turn either.
        ("50 2 * * *", "Europe/Berlin", "2026-10-25T01:45Z", ["2026-10-26T01:50Z"]),
        # By elapsed time: the repeated hour has its turns.
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15Z", ["2026-10-25T00:30Z", "2026-10-25T01:00Z"]),
        # New York and half an hour of Lord Howe.
        ("15 2 * * *", "America/New_York", "2026-03-08T00:00Z", ["2026-03-08T07:00Z", "2026-03-09T06:15Z"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]),
        ("0 9 * * MON-FRI", "Asia/Kolkata", "2026-11-06T12:00Z", ["2026-11-09T03:30Z"]),
    ],
)
def test_due_moments_around_clock_changes(cron: str, zone: str, after: str, expected: list[str]) -> None:
    found = islice(firings(schedule(cron, zone), datetime.fromisoformat(after)), len(expected))
    assert [moment.strftime("%Y-%m-%dT%H:%MZ") for moment in found] == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_a_daily_schedule_has_one_turn_a_day_all_year(zone: str) -> None:
    year = islice(firings(schedule("30 2 * * *", zone), datetime(2026, 1, 1, tzinfo=UTC)), 365)
    moments = list(year)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert all(timedelta(hours=22) < gap < timedelta(hours=26) for gap in gaps)
    assert moments[-1] < datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("0 3 * *", "UTC", "it has 4 fields; give five fields"),
        ("61 3 * * *", "UTC", "Bad minute"),
        ("0 0 3 * * *", "UTC", "it has 6 fields"),
        ("0 0 31 2 *", "UTC", "Bad day-of-month"),
        ("0 3 * * *", "Europe/Berlim", "did you mean 'Europe/Berlin'"),
        ("0 3 * * *", "../../etc/passwd", "is not known"),
    ],
)
def test_a_wrong_cron_or_zone_is_one_line(cron: str, zone: str, said: str) -> None:
    with pytest.raises(HarnessError, match=said):
        checked(cron, zone)


def test_years_of_minutes_are_not_walked() -> None:
    now = START + 3000 * DAY
    found = until(schedule("* * * * *"), START, now)
    assert (len(found), found[-1]) == (1000, now)


def test_jitter_is_the_same_when_asked_again_and_spread() -> None:
    spread = schedule(jitter_seconds=600)
    moments = list(islice(firings(spread, START), 50))
    delays = [jitter(spread, moment).total_seconds() for moment in moments]
    assert delays == [jitter(spread, moment).total_seconds() for moment in moments]
    assert 0 <= min(delays) < 120
    assert 480 < max(delays) < 600
    first = moments[0] + jitter(spread, moments[0])
    assert until(spread, START, first - timedelta(seconds=1)) == []
    assert until(spread, START, first) == [moments[0]]
    assert upcoming(spread, moments[0]) == first


def test_missed_turns_run_once(bench: Bench) -> None:
    bench.table.add(schedule())
    assert bench.run_due() == 0
    assert bench.worked == 0
    bench.now += 4 * DAY
    bench.run_due()
    bench.run_due()
    assert bench.worked == 1
    (turn,) = bench.table.turns()
    assert (turn.state, turn.due.isoformat()) == ("done", "2026-11-06T03:00:00+00:00")
    assert turn.note == "3 due moments before were missed"
    assert bench.told == [turn]


def test_a_turn_that_outlasts_the_next_skips_it_and_says_so(bench: Bench) -> None:
    bench.table.add(schedule("0 * * * *"))
    bench.now, bench.takes = START + timedelta(hours=1), timedelta(minutes=150)
    bench.run_due()
    bench.run_due()
    assert bench.worked == 1
    assert [(turn.due.hour, turn.state) for turn in bench.table.turns()] == [(15, "skipped"), (13, "done")]
    assert bench.said[-1] == ("nightly: 2026-11-02 15:00 UTC and 1 before skipped: the turn before was still running")


def test_only_a_turn_without_verdict_is_tried_again(bench: Bench) -> None:
    bench.table.add(schedule(retries=2))
    bench.now, bench.codes = START + DAY, [3, 3, 1]
    assert bench.run_due() == 1
    assert bench.slept == [60, 120]
    (turn,) = bench.table.turns()
    assert (turn.state, turn.attempts, turn.exit_code) == ("done", 3, 1)
    bench.now, bench.codes = START + 2 * DAY, [3, 3, 3]
    assert bench.run_due() == 3
    assert bench.table.turns()[0].state == "failed"
    assert bench.table.turns()[0].note == "no disk"


def test_a_message_that_cannot_be_sent_changes_no_result(bench: Bench) -> None:
    bench.table.add(schedule())
    bench.now, bench.codes, bench.unsent = START + DAY, [1], "no mail server"
    assert bench.run_due() == 1
    (turn,) = bench.table.turns()
    assert (turn.state, turn.exit_code, turn.note) == ("done", 1, "no mail server")


def test_a_clock_set_back_runs_nothing_again(bench: Bench) -> None:
    bench.table.add(schedule())
    bench.now = START + DAY
    bench.run_due()
    bench.now = START
    bench.run_due()
    bench.now = START + DAY
    bench.run_due()
    assert bench.worked == 1


def test_a_removed_schedule_is_forgotten_and_its_turns_are_not(bench: Bench) -> None:
    bench.table.add(schedule())
    with pytest.raises(HarnessError, match="there is a schedule 'nightly' already"):
        bench.table.add(schedule())
    bench.now = START + DAY
    bench.run_due()
    bench.table.remove("nightly")
    assert bench.table.schedules() == []
    assert len(bench.table.turns("nightly")) == 1
    with pytest.raises(HarnessError, match="no schedule 'nightl'; there are: none"):
        bench.table.remove("nightl")


WORKER = """
import sys, time
from datetime import datetime
from pathlib import Path
from harness.schedules.turns import Desk, Result, run_due
from harness.stores.file import DuckdbFile
from harness.stores.schedules import ScheduleTable

def work(schedule):
    print("working", flush=True)
    time.sleep(600)

table = ScheduleTable(DuckdbFile(Path(sys.argv[1]), 60))
now = datetime.fromisoformat(sys.argv[2])
run_due(Desk(table, work, lambda schedule, turn: "", lambda: now, time.sleep, lambda line: None))
"""


@pytest.fixture
def holder(bench: Bench) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of the turn of 03:00."""
    bench.table.add(schedule())
    bench.now = START + DAY
    command = [sys.executable, "-c", WORKER, str(bench.table.file.path), bench.now.isoformat()]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "working\n"
    yield process
    process.kill()
    process.communicate()


def test_two_processes_never_run_turns_at_once(bench: Bench, holder: subprocess.Popen[str]) -> None:
    bench.table.add(schedule("0 5 * * *", name="other"))
    bench.now = START + 2 * DAY
    assert bench.run_due() == 0
    assert bench.worked == 0
    skipped, waits = bench.said
    assert f"skipped: the turn of 2026-11-03 03:00 UTC still runs (process {holder.pid})" in skipped
    assert waits == f"other: due, and waits for process {holder.pid} to end another turn"
    assert [turn.state for turn in bench.table.turns()] == ["skipped", "running"]


def test_a_killed_turn_is_gone_on_with(bench: Bench, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    # Not waited for: a zombie still has its number, and holds nothing.
    bench.codes = [2]
    assert any(bench.run_due() == 2 for _ in range(500))
    (turn,) = bench.table.turns()
    assert (turn.state, turn.attempts, turn.note) == ("done", 2, "its process died; went on where it stopped")
    assert turn.due == datetime(2026, 11, 3, 3, tzinfo=UTC)


def test_a_turn_that_kills_its_process_is_given_up(bench: Bench) -> None:
    bench.table.add(schedule())
    bench.table.save(Turn("nightly", START + DAY, "running", START + DAY, attempts=3))
    bench.now = START + DAY
    assert bench.run_due() == 3
    (turn,) = bench.table.turns()
    assert (bench.worked, turn.state) == (0, "failed")
    assert turn.note == "given up: its process was killed in attempt 3"


def test_who_is_alive() -> None:
    me = mine(lambda: START)
    assert alive(me, me)
    long_ago = START - timedelta(hours=1)
    assert alive(replace(me, renewed=long_ago), me)
    assert not alive(replace(me, renewed=long_ago, process_started=me.process_started - 100), me)
    elsewhere = Lease(1, 0.0, Place("other", "boot", "space"), START, START)
    assert alive(elsewhere, me)
    assert not alive(replace(elsewhere, renewed=long_ago), me)
    assert not alive(replace(me, place=replace(me.place, boot="before")), me)
    assert alive(replace(me, place=replace(me.place, space="container")), me)
    assert not alive(replace(me, pid=2**22 + 1), me)


def test_the_daemon_starts_turns_when_they_are_due(bench: Bench) -> None:
    """Over the clock change of autumn, in steps of its own sleep; of a long wait only the last ten seconds."""
    bench.now = datetime(2026, 10, 24, 12, tzinfo=UTC)
    bench.table.add(schedule("30 2 * * *", "Europe/Berlin", handled=bench.now))
    launched: list[str] = []

    def sleep(seconds: float) -> None:
        soon = upcoming(bench.table.schedules()[0], bench.now) - timedelta(seconds=10)
        bench.now = max(bench.now + timedelta(seconds=seconds), soon.astimezone(UTC))
        if bench.now > datetime(2026, 10, 26, 12, tzinfo=UTC):
            raise KeyboardInterrupt

    def launch() -> None:
        launched.append(bench.now.strftime("%d %H:%M"))
        bench.run_due()

    with pytest.raises(KeyboardInterrupt):
        serve(bench.table, lambda: bench.now, sleep, launch, bench.said.append)
    assert launched == ["25 00:30", "26 01:30"]
    assert "next: nightly, 2026-10-25 02:30 CEST" in bench.said


HOURS = """
import sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from harness.schedules.turns import Desk, Result, run_due
from harness.stores.file import DuckdbFile
from harness.stores.schedules import ScheduleTable

table, start = ScheduleTable(DuckdbFile(Path(sys.argv[1]), 60)), time.monotonic()
first = max(table.schedules()[0].handled, datetime.fromisoformat(sys.argv[2]))
now = lambda: first + 7200 * timedelta(seconds=time.monotonic() - start)
work = lambda schedule: time.sleep(0.02) or Result(0, "job")
while True:
    run_due(Desk(table, work, lambda schedule, turn: "", now, time.sleep, print))
"""


@pytest.mark.slow
def test_killed_at_any_moment_every_turn_is_there_once(bench: Bench) -> None:
    """An hourly schedule in a clock 7200 times as fast; each process is killed at another moment."""
    bench.table.add(schedule("0 * * * *"))
    command = [sys.executable, "-u", "-c", HOURS, str(bench.table.file.path), START.isoformat()]
    for kill in range(15):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert any("exit code" in line or "given up" in line for line in process.stdout)
            time.sleep(random.Random(kill).random())
            process.kill()
    bench.now = bench.table.schedules()[0].handled + timedelta(minutes=30)
    assert any(not bench.table.turns(state="running") for _ in range(3) if bench.run_due() in (0, 3))
    turns = bench.table.turns()
    assert len({turn.due for turn in turns}) == len(turns) > 10
    assert {turn.state for turn in turns} <= {"done", "failed", "skipped"}
    assert all(turn.exit_code == 0 for turn in turns if turn.state == "done")
    assert bench.table.file.rows("SELECT * FROM leases") == []
