"""Kill a process at random points of work on a store, again and again, and say what was lost or is there twice.

    python tests/harness/killing.py FOLDER KILLS

For each kind of work a child is forked, works, says after each transaction that has returned what is in the store now,
and is killed after a random while. Then another child opens the store: every batch that was said to be there must be
there once, every other one whole or not at all. Forked, because a new interpreter costs more than the work; this
process itself never opens a store, so that no thread of DuckDB is there to be lost in a fork.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb

from harness.records import Answer, ModelSpec, Run
from harness.schedules import Schedule, Turn
from harness.schedules.lease import alive, mine
from harness.stores import Asked, Letter, VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.file import STILLBORN_SECONDS
from harness.stores.journal import undo
from harness.stores.migrations import STEPS
from harness.stores.outbox import Fate, Outbox
from harness.stores.schedules import ScheduleTable

BATCH, LETTERS = 40, 60
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """One kind of work: what is there before, what is done and said, and what must hold afterwards."""

    prepare: Callable[[Path], None]
    do: Callable[[Path, Say], None]
    check: Callable[[Path, list[str]], None]
    reach: float
    """The kill comes at any moment up to so many times what it takes until something is said."""


def nothing(folder: Path) -> None:
    """The store itself is made while the clock runs."""


def write(folder: Path, say: Say) -> None:
    store = DuckdbStore(folder / "s.duckdb")
    stage = store.begin_stage("model", "key", "suite", "smoke")
    for batch in range(10_000):
        answers = [Answer(f"{batch}-{i}", "p", "t", "stop", 1, 1, 0.0) for i in range(BATCH)]
        store.add_answers(stage.id, answers)
        say(str(batch))


def written(folder: Path, said: list[str]) -> None:
    path = folder / "s.duckdb"
    if path.is_file() and path.stat().st_size == 0:
        os.utime(path, (0, time.time() - 2 * STILLBORN_SECONDS))
    rows = DuckdbStore(path).file.rows("SELECT case_id FROM answers")
    whole(Counter(name.partition("-")[0] for (name,) in rows), said, BATCH)
    assert len(set(rows)) == len(rows)


def whole(there: Counter[str], said: list[str], size: int) -> None:
    """Every batch is complete, and each that was said is there."""
    assert set(there.values()) <= {size}, there
    assert set(said) <= set(there), set(said) - set(there)


def oldest(folder: Path) -> None:
    """A store of the first schema with answers, as a release from before all migrations left it."""
    with duckdb.connect(str(folder / "s.duckdb")) as db:
        db.execute("CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (1)")
        db.execute(STEPS[0])
        db.execute(
            "INSERT INTO answers SELECT 's', i::VARCHAR, 'p', 't', 'stop', 1, 1, 0.0, NULL FROM range(2000) r(i)"
        )


def migrate(folder: Path, say: Say) -> None:
    DuckdbStore(folder / "s.duckdb")
    say("migrated")


def migrated(folder: Path, said: list[str]) -> None:
    undo(folder / "s.duckdb")
    with duckdb.connect(str(folder / "s.duckdb")) as db:
        versions = [number for (number,) in db.execute("SELECT version FROM schema_version ORDER BY 1").fetchall()]
    assert versions in ([1], [*range(1, len(STEPS) + 1)]), versions
    assert not said or len(versions) == len(STEPS)
    file = DuckdbStore(folder / "s.duckdb").file
    assert file.rows("SELECT count(*), count(DISTINCT case_id) FROM answers WHERE tokens IS NULL") == [(2000, 2000)]
    assert file.rows("SELECT count(*), max(version) FROM schema_version") == [(len(STEPS), len(STEPS))]


def posted(folder: Path) -> None:
    store = DuckdbStore(folder / "s.duckdb")
    letters = [Letter(str(n), "KEY", "job", "run", f"s/{n}", "original", "log", "{}") for n in range(LETTERS)]
    store.save_verdict(VerdictRow("job", "small", "PASS", "", "a", "b", "[]"), letters)


def send(folder: Path, say: Say) -> None:
    """What is sent is on disk elsewhere before its fate is written, as it is at a server."""
    outbox = Outbox(DuckdbStore(folder / "s.duckdb").file)
    with (folder / "server").open("a", buffering=1) as server:
        while taken := outbox.take("KEY", 5, 60.0):
            for one in taken:
                server.write(f"{one.letter.id}\n")
            outbox.settle([Fate(one.letter.id, "sent", attempts=1) for one in taken])
            for one in taken:
                say(one.letter.id)


def sent(folder: Path, said: list[str]) -> None:
    """A letter that may have arrived is never taken for one that surely has not."""
    states = dict(DuckdbStore(folder / "s.duckdb").file.rows("SELECT id, state FROM outbox"))
    arrived = (folder / "server").read_text().split() if (folder / "server").is_file() else []
    assert len(states) == LETTERS
    assert {states[name] for name in said} <= {"sent"}
    assert {states[name] for name in arrived} <= {"sent", "inflight"}
    assert set(states.values()) <= {"sent", "inflight", "pending"}
    assert len(set(arrived)) == len(arrived)


def scheduled(folder: Path) -> None:
    table = ScheduleTable(DuckdbStore(folder / "s.duckdb").file)
    table.add(Schedule("nightly", "p.yaml", "0 3 * * *", "UTC", 0, 0, None, BEGUN))


def turn(folder: Path, say: Say) -> None:
    table, lease = ScheduleTable(DuckdbStore(folder / "s.duckdb").file), mine(lambda: BEGUN)
    assert table.take(lease, lambda holder: alive(holder, lease)) is None
    say("lease")
    for night in range(10_000):
        due = BEGUN + timedelta(days=night)
        table.save(Turn("nightly", due, "running", due))
        table.save(Turn("nightly", due, "done", due, due, 1, 0))
        table.renew(lease, due)
        say(str(night))


def turned(folder: Path, said: list[str]) -> None:
    table, me = ScheduleTable(DuckdbStore(folder / "s.duckdb").file), mine(lambda: BEGUN)
    turns = {one.due: one.state for one in table.turns("nightly")}
    assert {turns[BEGUN + timedelta(days=int(night))] for night in said if night != "lease"} <= {"done"}
    assert sum(state == "running" for state in turns.values()) <= 1
    if turns:
        assert table.schedule("nightly").handled == max(turns)
    assert table.take(me, lambda holder: alive(holder, me)) is None, "a killed holder holds nobody up"


def two_machines(folder: Path) -> None:
    for name in ("s", "theirs"):
        store = DuckdbStore(folder / f"{name}.duckdb")
        for number in range(3):
            job = store.begin_job(Asked(name, "{}", f"{name}{number}"))
            stage = store.begin_stage(f"{name}{number}", "key", "suite", "smoke")
            store.add_answers(stage.id, [Answer(str(i), "p", "t", "stop", 1, 1, 0.0) for i in range(300)])
            store.finish_stage(stage.id)
            store.save_run(Run(f"{name}{number}", ModelSpec("small", "m"), "f"), job.id, [stage.id])
            store.finish_job(job.id, 0)


def merge(folder: Path, say: Say) -> None:
    from harness.stores.merging import merge as merged

    merged(DuckdbStore(folder / "s.duckdb").file, folder / "theirs.duckdb")
    say("merged")


def merged_once(folder: Path, said: list[str]) -> None:
    from harness.stores.merging import merge as merged

    file = DuckdbStore(folder / "s.duckdb").file
    count = "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM runs), (SELECT count(*) FROM answers)"
    before, after = (3, 3, 900), (6, 6, 1800)
    (there,) = file.rows(count)
    assert there == after if said else there in (before, after), there
    merged(file, folder / "theirs.duckdb")
    assert file.rows(count) == [after]


KINDS = {
    "write": Work(nothing, write, written, 3.0),
    "migrate": Work(oldest, migrate, migrated, 1.1),
    "sync": Work(posted, send, sent, 3.0),
    "schedule": Work(scheduled, turn, turned, 3.0),
    "merge": Work(two_machines, merge, merged_once, 1.1),
}


def forked(work: Callable[[], None]) -> int:
    """Run in a child; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - no exception may bring the child back into the loop of its parent
        traceback.print_exc()
        os._exit(1)


def finished(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(work: Work, folder: Path, seconds: float | None) -> tuple[list[str], float]:
    """What a child said before it was killed, and when; seconds: None for as soon as it has said something."""
    reading, writing = os.pipe()
    began = time.monotonic()
    child = forked(lambda: work.do(folder, lambda said: os.write(writing, f"{said}\n".encode()) and None))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        first = pipe.readline() if seconds is None else ""
        time.sleep(seconds or 0.0)
        lived = time.monotonic() - began
        os.kill(child, signal.SIGKILL)
        status = finished(child)
        assert status in (0, -signal.SIGKILL), f"the work itself failed: {status}"
        return (first + pipe.read()).split(), lived


def tried(place: Path, name: str, kills: int) -> str:
    """Kill one kind of work so many times."""
    work, template, chance = KINDS[name], place / name, random.Random(name)
    template.mkdir()
    assert finished(forked(lambda: work.prepare(template))) == 0
    longest = None
    spoken = wrong = 0
    for number in range(kills):
        folder = place / f"{name}-{number}"
        shutil.copytree(template, folder)
        said, lived = killed(work, folder, None if longest is None else chance.uniform(0, longest))
        longest = longest or work.reach * lived
        spoken += bool(said)
        wrong += finished(forked(partial(work.check, folder, said))) != 0
        shutil.rmtree(folder)
    return f"{name}: {kills} kills, {spoken} after something was said, {wrong} wrong"


def main(place: Path, kills: int) -> None:
    for name in KINDS:
        print(tried(place, name, kills // len(KINDS)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
