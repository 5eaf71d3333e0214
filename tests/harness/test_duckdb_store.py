"""The store: nothing acknowledged is lost, nothing is there twice, several processes take turns."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import astuple, replace
from pathlib import Path
from typing import cast

import duckdb
import pytest

from harness.errors import HarnessError
from harness.records import Answer, Item, Measurement, ModelSpec, Run
from harness.stores import Asked, Letter, VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.migrations import STEPS
from harness.stores.outbox import Outbox

ROOT = Path(__file__).parents[2]
ANSWER = Answer("a", "2+2?", "4", "stop", 5, 1, 0.1)
MEASURED = Measurement(
    "task.acc",
    0.5,
    "share",
    True,
    "binary",
    (Item("1", "h1", 1.0, choices=(-1.5, -2.5)), Item("0", "h0", math.nan, "c", 2.0)),
)
LETTER = Letter("first", "KEY", "job", "r2", "smoke/a", "candidate", "log", "{}")


@pytest.fixture
def store(tmp_path: Path) -> DuckdbStore:
    return DuckdbStore(tmp_path / "s.duckdb")


def test_a_run_comes_back_as_it_went_in(store: DuckdbStore) -> None:
    job = store.begin_job(Asked("p", "{}", "d", "secateur run p", {"machine": "m"}))
    suite = store.begin_stage("model", "key", "suite", "smoke")
    store.add_answers(suite.id, [ANSWER])
    store.finish_stage(suite.id, facts={"template": "none"})
    task = store.begin_stage("model", "other", "benchmark", "task")
    store.finish_stage(task.id, [MEASURED])
    spec = ModelSpec("original", "./m", adapter="./a")
    store.save_run(Run("r1", spec, "model"), job.id, [suite.id, task.id])
    run = store.run("r1")
    assert (run.model, run.fingerprint, run.answers) == (spec, "model", {"smoke": (ANSWER,)})
    back = run.measurements["task.acc"]
    assert [item.id for item in back.items] == ["1", "0"]
    assert math.isnan(back.items[1].value)
    assert (back.items[1].cluster, back.items[1].weight) == ("c", 2.0)
    assert [item.choices for item in back.items] == [(-1.5, -2.5), ()]
    assert run.facts["smoke: template"] == "none"


def test_appending_again_changes_nothing(store: DuckdbStore) -> None:
    stage = store.begin_stage("model", "key", "suite", "smoke")
    for text in ("4", "five"):
        store.add_answers(stage.id, [Answer("a", "2+2?", text, "stop", 5, 1, 0.1)])
        store.add_scores(stage.id, {"request": (-1.5, True)})
        store.finish_stage(stage.id, [MEASURED])
    assert [answer.text for answer in store.answers(stage.id)] == ["4"]
    assert store.scores(stage.id) == {"request": (-1.5, True)}
    assert len(store.measurements(stage.id)[0].items) == 2


def test_an_unfinished_job_and_stage_go_on(store: DuckdbStore) -> None:
    job = store.begin_job(Asked("p", "{}", "d", "secateur run p", {"machine": "m"}))
    stage = store.begin_stage("model", "key", "suite", "smoke")
    assert store.begin_job(Asked("p", "{}", "d", "secateur run p", {"machine": "m"})).id == job.id
    assert store.begin_stage("model", "key", "suite", "smoke").id == stage.id
    store.finish_job(job.id, 0)
    later = store.begin_job(Asked("p", "{}", "d", "secateur run p", {"machine": "m"}))
    assert later.id != job.id
    assert store.begin_stage("model", "key", "suite", "smoke", not_before=later.started).id != stage.id
    assert store.begin_job(Asked("p", "{}", "d", fresh=True)).id != later.id


def test_a_verdict_is_there_once(store: DuckdbStore) -> None:
    for decision in ("PASS", "REGRESSION"):
        store.save_verdict(VerdictRow("job", "small", decision, "because", "r1", "r2", "[]"))
    assert [row.decision for row in store.verdicts("job")] == ["REGRESSION"]


WRITER = """
import sys
from pathlib import Path
from harness.records import Answer
from harness.stores.duckdb_store import DuckdbStore
store = DuckdbStore(Path(sys.argv[1]))
stage = store.begin_stage("model", "key", "suite", "smoke")
for batch in range(int(sys.argv[3])):
    store.add_answers(stage.id, [Answer(f"{sys.argv[2]}-{batch}-{i}", "p", "t", "stop", 1, 1, 0.0) for i in range(5)])
    print(batch, flush=True)
"""


def writer(path: Path, name: str, batches: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(batches)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_take_turns(store: DuckdbStore) -> None:
    stage = store.begin_stage("model", "key", "suite", "smoke")
    writers = [writer(store.file.path, name, 4) for name in "abc"]
    assert [process.wait(60) for process in writers] == [0, 0, 0]
    assert len(store.answers(stage.id)) == 3 * 4 * 5


FORKING = """
import os, sys
from pathlib import Path
from harness.stores.file import DuckdbFile
file = DuckdbFile(Path(sys.argv[1]), 9)
file.execute("CREATE TABLE mine AS SELECT * FROM range(1000000)", ())
if (child := os.fork()) == 0:
    file.execute("INSERT INTO mine VALUES (0)", ())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(*file.rows("SELECT count(*) FROM mine"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_was_forked_writes_too(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path / "s.duckdb")]
    assert subprocess.check_output(command, cwd=ROOT, text=True, timeout=60) == "(1000001,)\n"


def test_what_a_failed_transaction_attached_is_gone(store: DuckdbStore, tmp_path: Path) -> None:
    def attached(name: str) -> None:
        def work(db: duckdb.DuckDBPyConnection) -> None:
            db.execute(f"ATTACH '{tmp_path / name}' AS theirs")
            db.execute("SELECT nothing")

        with pytest.raises(HarnessError, match="nothing"):
            store.file.transaction(work)

    attached("one.duckdb")
    attached("two.duckdb")
    duckdb.connect(str(tmp_path / "one.duckdb")).close()
    assert store.file.rows("SELECT database_name FROM duckdb_databases() WHERE path IS NOT NULL") == [("store",)]


def test_ctrl_c_ends_a_query_as_it_ends_everything_else(store: DuckdbStore) -> None:
    """DuckDB raises RuntimeError with this text; how soon depends on the query, so none is interrupted here."""

    def interrupted(_: object) -> None:
        raise RuntimeError("Query interrupted")

    with pytest.raises(KeyboardInterrupt):
        store.file.transaction(interrupted)


@pytest.mark.parametrize("delay_seconds", [0.0, 0.03, 0.11])
def test_sigkill_loses_nothing_acknowledged(store: DuckdbStore, delay_seconds: float) -> None:
    stage = store.begin_stage("model", "key", "suite", "smoke")
    process = writer(store.file.path, "k", 10_000)
    assert process.stdout
    process.stdout.readline()
    time.sleep(delay_seconds)
    process.send_signal(signal.SIGKILL)
    acknowledged = 1 + len(process.stdout.read().split())
    process.wait()
    there = {answer.case for answer in store.answers(stage.id)}
    assert there >= {f"k-{batch}-{i}" for batch in range(acknowledged) for i in range(5)}
    assert len(there) % 5 == 0


def test_a_busy_store_names_who_is_inside(store: DuckdbStore) -> None:
    holding = (
        f"import duckdb, sys; db = duckdb.connect({str(store.file.path)!r}); print(1, flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", holding], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout
    process.stdout.readline()
    try:
        with pytest.raises(HarnessError, match=rf"in use by process {process.pid}"):
            DuckdbStore(store.file.path, wait_seconds=0.2)
    finally:
        process.kill()
        process.communicate()


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE sales (amount INTEGER)")
    with pytest.raises(HarnessError, match="not a store of secateur: it holds sales; it is left as it is"):
        DuckdbStore(path)
    with duckdb.connect(str(path), read_only=True) as db:
        assert db.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("sales",)]


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    path.write_text("not a database")
    with pytest.raises(HarnessError, match="not a valid DuckDB"):
        DuckdbStore(path)
    assert path.read_text() == "not a database"


def test_an_empty_file_of_a_killed_process_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    path.touch()
    os.utime(path, (0, 0))
    assert DuckdbStore(path).jobs() == []


def test_a_damaged_file_is_one_line(store: DuckdbStore) -> None:
    content = store.file.path.read_bytes()
    store.file.path.write_bytes(content[: len(content) // 2])
    with pytest.raises(HarnessError, match="if the file is damaged, move it away"):
        store.jobs()


def test_two_stages_finish_together(store: DuckdbStore) -> None:
    first, second = (store.begin_stage("model", key, "metric", "speed") for key in ("before", "after"))
    store.finish_stages({first.id: [MEASURED], second.id: [MEASURED]})
    assert all(store.begin_stage("model", key, "metric", "speed").finished for key in ("before", "after"))
    assert [m.metric for m in store.measurements(second.id)] == ["task.acc"]


def test_facts_of_a_stage_that_is_not_finished(store: DuckdbStore) -> None:
    stage = store.begin_stage("model", "key", "suite", "smoke")
    store.note_stage(stage.id, {"digest": "abc"})
    again = store.begin_stage("model", "key", "suite", "smoke")
    assert (again.id, again.facts, again.finished) == (stage.id, {"digest": "abc"}, False)


def test_a_newer_schema_is_refused(store: DuckdbStore) -> None:
    with duckdb.connect(str(store.file.path)) as db:
        db.execute("INSERT INTO schema_version VALUES (99)")
    with pytest.raises(HarnessError, match="newer secateur"):
        DuckdbStore(store.file.path)


def test_a_store_of_the_first_schema_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (1)")
        db.execute(STEPS[0])
        db.execute("INSERT INTO verdicts VALUES ('job', 'small', 'PASS', 'because', 'r1', 'r2', '[]', 'then')")
    store = DuckdbStore(path)
    store.save_verdict(VerdictRow("job", "large", "PASS", "because", "r1", "r3", "[]"), [LETTER])
    assert {row.candidate for row in store.verdicts("job")} == {"small", "large"}
    assert [letters for _, _, _, letters, _ in map(astuple, Outbox(store.file).census())] == [1]


def test_every_column_of_the_outbox_is_explained(store: DuckdbStore) -> None:
    with duckdb.connect(str(store.file.path), read_only=True) as db:
        columns = db.execute("SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'outbox'").fetchall()
    assert len(columns) == 20
    assert all(comment for _, comment in columns)


def test_a_letter_is_there_once_and_only_with_its_verdict(store: DuckdbStore) -> None:
    row = VerdictRow("job", "small", "PASS", "because", "r1", "r2", "[]")
    for _ in range(2):
        store.save_verdict(row, [LETTER])
    broken = replace(row, candidate="other", reason=cast(str, None))
    with pytest.raises(HarnessError, match="NOT NULL"):
        store.save_verdict(broken, [replace(LETTER, id="second")])
    outbox = Outbox(store.file)
    (taken,) = outbox.take("KEY", 10, lease_seconds=0.0)
    assert (taken.letter, taken.attempts, taken.doubtful) == (LETTER, 0, False)
    (again,) = outbox.take("KEY", 10, lease_seconds=60.0)
    assert again.doubtful, "the lease ran out, and nobody knows whether it arrived"
    assert outbox.take("KEY", 10, lease_seconds=60.0) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match=r"cannot make the folder .*file/out"):
        DuckdbStore(tmp_path / "file" / "out" / "s.duckdb")


def test_everything_has_a_comment(store: DuckdbStore) -> None:
    named = store.file.rows("SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal")
    named += store.file.rows("SELECT table_name, '', comment FROM duckdb_tables()")
    named += store.file.rows("SELECT view_name, '', comment FROM duckdb_views() WHERE NOT internal")
    assert [f"{table}.{column}" for table, column, comment in named if not comment] == []


def test_a_store_of_every_older_schema_is_brought_to_the_newest(tmp_path: Path, store: DuckdbStore) -> None:
    schema = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() ORDER BY ALL"
    wanted = store.file.rows(schema)
    for version in range(1, len(STEPS)):
        path = tmp_path / f"{version}.duckdb"
        with duckdb.connect(str(path)) as db:
            db.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
            for number, step in enumerate(STEPS[:version], start=1):
                db.execute(step)
                db.execute("INSERT INTO schema_version VALUES (?)", [number])
        assert DuckdbStore(path).file.rows(schema) == wanted
