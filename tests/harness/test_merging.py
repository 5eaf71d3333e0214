"""Two stores become one: every row once, and nothing of it where they disagree."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from harness.commands import entry
from harness.errors import HarnessError
from harness.records import Answer, Item, Measurement, ModelSpec, Run
from harness.stores import Asked, Letter, VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.merging import TAKEN, merge
from harness.stores.migrations import STEPS
from harness.stores.rows import Row

MEASURED = Measurement("task.acc", 0.5, "share", True, "binary", (Item("0", "h0", 1.0), Item("1", "h1", float("nan"))))


def work(store: DuckdbStore, name: str, exit_code: int | None = 0) -> None:
    """A job of this plan: one run of one suite and one benchmark, a verdict, and a letter that tells of it."""
    job = store.begin_job(Asked(name, "{}", name)).id
    suite = store.begin_stage("model", name, "suite", "smoke").id
    store.add_answers(suite, [Answer("a", "2+2?", "4", "stop", 5, 1, 0.1), Answer("b", "?", None, "error", 1, 0, 0.1)])
    store.finish_stage(suite)
    task = store.begin_stage("model", f"{name} task", "benchmark", "task").id
    store.finish_stage(task, [MEASURED])
    store.save_run(Run(f"r-{name}", ModelSpec("original", "./m"), "model"), job, [suite, task])
    letter = Letter(f"letter {name}", "KEY", job, f"r-{name}", "smoke/a", "candidate", "log", "{}")
    store.save_verdict(VerdictRow(job, "small", "PASS", "because", f"r-{name}", f"r-{name}", "[]"), [letter])
    if exit_code is not None:
        store.finish_job(job, exit_code)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[DuckdbStore, DuckdbStore]:
    """Ours and theirs, which began as a copy of ours and went on alone."""
    place = tmp_path_factory.mktemp("stores")
    ours = DuckdbStore(place / "ours.duckdb")
    work(ours, "both")
    theirs = DuckdbStore(Path(shutil.copy(ours.file.path, place / "theirs.duckdb")))
    ours.begin_job(Asked("here", "{}", "here"))
    work(theirs, "there")
    work(theirs, "running", exit_code=None)
    return ours, theirs


@pytest.fixture
def ours(stores: tuple[DuckdbStore, DuckdbStore], tmp_path: Path) -> DuckdbStore:
    return DuckdbStore(Path(shutil.copy(stores[0].file.path, tmp_path / "secateur.duckdb")))


@pytest.fixture
def theirs(stores: tuple[DuckdbStore, DuckdbStore], tmp_path: Path) -> Path:
    return Path(shutil.copy(stores[1].file.path, tmp_path / "theirs.duckdb"))


def rows(store: DuckdbStore) -> list[list[Row]]:
    return store.file.transaction(
        lambda db: [db.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in (*TAKEN, "outbox")]
    )


def test_what_the_other_has_more_is_added_once(
    ours: DuckdbStore, theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letters, other = rows(ours)[-1], theirs.read_bytes()
    command = ["store", "merge", str(theirs), "--out", str(ours.file.path.parent)]
    assert entry(command) == 0
    said = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in said if not line.endswith(" 0")] == [
        "jobs 1", "runs 1", "run_stages 2", "stages 2", "answers 2", "measurements 1", "items 2", "verdicts 1",
        f"1 jobs of {theirs} are not finished, and were left there",
    ]  # fmt: skip
    assert {job.plan_name for job in ours.jobs()} == {"both", "here", "there"}
    merged = rows(ours)
    assert (merged[-1], theirs.read_bytes()) == (letters, other)
    assert entry(command) == 0
    assert rows(ours) == merged
    assert str(ours.run("r-there")) == str(DuckdbStore(theirs).run("r-there"))


def test_a_stage_that_went_on_is_taken_as_it_is_now(ours: DuckdbStore, theirs: Path) -> None:
    """As when a sequential plan left a suite, and a later job asked the rest of it."""
    with duckdb.connect(str(ours.file.path)) as db:
        db.execute("UPDATE stages SET finished = NULL, facts = '{}'; DELETE FROM answers WHERE case_id = 'b'")
    earlier, other = (Path(shutil.copy(path, f"{path}.copy")) for path in (ours.file.path, theirs))
    with duckdb.connect(str(other)) as db:
        db.execute("DELETE FROM run_stages")
    merge(ours.file, other)
    assert ours.file.rows("SELECT count(*) FROM stages WHERE finished IS NOT NULL") == [(0,)], "its answers stay there"
    merge(ours.file, theirs)
    merged = rows(ours)
    assert ours.file.rows("SELECT count(*) FROM stages WHERE finished IS NULL") == [(0,)]
    assert ours.file.rows("SELECT count(*) FROM answers") == [(4,)]
    merge(ours.file, earlier)
    assert rows(ours) == merged


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE answers SET text = '5' WHERE case_id = 'a'", r"table answers, stage '\w+', case_id 'a': is here too"),
        ("UPDATE items SET value = NULL WHERE position = 0", "table items, stage .*, metric 'task.acc', position 0"),
        ("INSERT INTO schema_version VALUES (99)", "newer secateur"),
        ("DELETE FROM schema_version WHERE version > 4", f"schema 4, where this one is {len(STEPS)}"),
        ("DROP TABLE schema_version", "it has no table schema_version"),
        ("ALTER TABLE scores ADD COLUMN more INTEGER", "table scores is not there, or has other columns"),
        ("DROP TABLE scores; CREATE VIEW scores AS SELECT 1", "table scores is not there"),
    ],
)
def test_where_they_disagree_nothing_changes(ours: DuckdbStore, theirs: Path, change: str, said: str) -> None:
    with duckdb.connect(str(theirs)) as db:
        db.execute(change)
    before = rows(ours)
    with pytest.raises(HarnessError, match=said):
        merge(ours.file, theirs)
    assert rows(ours) == before


def test_doubles_within_the_other_change_nothing(ours: DuckdbStore, theirs: Path) -> None:
    """A table without its primary key, as only somebody else writes it."""
    with duckdb.connect(str(theirs)) as db:
        db.execute("CREATE TABLE copy AS FROM verdicts UNION ALL FROM verdicts")
        db.execute("DROP TABLE verdicts CASCADE; ALTER TABLE copy RENAME TO verdicts")
    before = rows(ours)
    with pytest.raises(HarnessError, match=r"cannot merge .*uplicate key.*nothing was changed"):
        merge(ours.file, theirs)
    assert rows(ours) == before


def test_what_is_no_store_is_one_line(ours: DuckdbStore, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database")
    (tmp_path / "link").symlink_to(ours.file.path)
    for name, said in {"none": "no store at", "text": "not a valid DuckDB", "link": "is the store itself"}.items():
        with pytest.raises(HarnessError, match=said):
            merge(ours.file, tmp_path / name)


def test_every_table_is_taken_or_belongs_to_its_machine(ours: DuckdbStore) -> None:
    tables = {name for (name,) in ours.file.rows("SELECT table_name FROM duckdb_tables()")}
    assert tables - set(TAKEN) == {"schema_version", "outbox", "schedules", "turns", "leases"}
