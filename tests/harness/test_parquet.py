"""A store goes through Parquet files and comes back; what is not whole makes none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from harness.commands import entry
from harness.errors import HarnessError
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.migrations import STEPS
from harness.stores.parquet import export, restore
from harness.stores.rows import Connection, Row

PLACE = "day=1 it's [a]*b"
"""Every part of it means something to DuckDB or to SQL."""
TABLES = "SELECT table_name FROM duckdb_tables() WHERE table_name NOT IN ('schema_version', 'mine')"


def filled(path: Path) -> DuckdbStore:
    """A store with a row in every table, by no more than its columns' types."""
    store = DuckdbStore(path)
    values = {"INTEGER": "7", "DOUBLE": "0.1", "BOOLEAN": "true", "JSON": """'[{"a": "é"}]'""", "INTEGER[]": "[1, 2]",
              "BIGINT": "7", "DOUBLE[]": "NULL", "VARCHAR[]": "['a', 'b']", "VARCHAR": "'2026-11-28'"}  # fmt: skip

    def fill(db: Connection) -> None:
        for (table,) in db.execute(TABLES).fetchall():
            columns = db.execute(f"DESCRIBE {table}").fetchall()
            row = ["[0.5]" if (kind, null) == ("DOUBLE[]", "NO") else values[kind] for _, kind, null, *_ in columns]
            db.execute(f"INSERT INTO {table} VALUES ({', '.join(row)})")
        db.execute("CREATE TABLE mine AS SELECT 1")

    store.file.transaction(fill)
    return store


def content(path: Path) -> dict[str, list[Row]]:
    with duckdb.connect(str(path), read_only=True) as db:
        names = [name for (name,) in db.execute(TABLES).fetchall()]
        return {name: db.execute(f"FROM {name}").fetchall() for name in ("schema_version", "v_latest", *names)}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    filled(out / "secateur.duckdb")
    assert entry(["store", "export", str(out / PLACE), "--out", str(out)]) == 0
    return out / PLACE


def test_everything_comes_back_but_the_lease(exported: Path) -> None:
    out = exported.parent / "second"
    assert entry(["store", "import", str(exported), "--out", str(out)]) == 0
    there = content(exported.parent / "secateur.duckdb")
    assert all(there.values())
    assert there.pop("leases")
    assert content(out / "secateur.duckdb") == {**there, "leases": []}


def test_nothing_is_left_beside_it_and_nothing_is_replaced(exported: Path, tmp_path: Path) -> None:
    restore(exported, tmp_path / "s.duckdb")
    store = DuckdbStore(tmp_path / "s.duckdb")
    assert [path.name for path in tmp_path.iterdir()] == ["s.duckdb"]
    with pytest.raises(HarnessError, match="there is a store at"):
        restore(exported, tmp_path / "s.duckdb")
    with pytest.raises(HarnessError, match="is there already"):
        export(store.file, exported)
    with pytest.raises(HarnessError, match=r"s\.duckdb/x: cannot write: File exists"):
        export(store.file, tmp_path / "s.duckdb" / "x")


def test_an_export_of_an_older_schema_is_brought_to_the_newest(tmp_path: Path) -> None:
    tables = {"jobs": 0, "stages": 0, "runs": 0, "run_stages": 0, "answers": 1, "scores": 0, "measurements": 0,
              "items": 0, "receipts": 0, "verdicts": 0}  # fmt: skip
    with duckdb.connect() as db:
        db.execute(STEPS[0])
        db.execute("INSERT INTO answers VALUES ('s', 'c', '2+2?', '4', 'stop', 5, 1, 0.1, NULL)")
        for table in tables:
            db.execute(f"COPY {table} TO '{tmp_path / table}.parquet'")
    (tmp_path / "manifest.json").write_text(json.dumps({"schema": 1, "tables": tables}))
    restore(tmp_path, tmp_path / "out" / "s.duckdb")
    store = DuckdbStore(tmp_path / "out" / "s.duckdb")
    assert [answer.text for answer in store.answers("s")] == ["4"]
    assert store.file.rows("SELECT max(version) FROM schema_version") == [(len(STEPS),)]


def manifest(content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "manifest.json").write_text(content)


def parquet(sql: str) -> Callable[[Path], object]:
    return lambda folder: duckdb.sql(f"COPY ({sql}) TO '{folder}/receipts.parquet'")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no export at"),
        (lambda folder: (folder / "jobs.parquet").unlink(), r"not whole: no jobs\.parquet"),
        (lambda folder: (folder / "jobs.parquet").write_text("PAR1"), r"jobs\.parquet: cannot be imported"),
        (manifest("[" * 100_000), "not valid JSON"),
        (manifest('{"schema": "6"}'), "not a manifest"),
        (manifest('{"schema": 99, "tables": {}}'), r"newer secateur \(schema 99"),
        (manifest(json.dumps({"schema": len(STEPS), "tables": {"advice": 2}})), r"advice\.parquet: 1 rows, .*says 2"),
        (parquet("SELECT 'r' AS run, 1 AS receipt"), f"not the columns of schema {len(STEPS)}, which are run"),
        (parquet("SELECT 'r' AS run, CAST(NULL AS JSON) AS receipt"), r"receipts\.parquet: cannot be imported: .*NOT"),
    ],
)  # fmt: skip
def test_what_is_not_whole_makes_no_store(
    exported: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    spoil(folder)
    with pytest.raises(HarnessError, match=said):
        restore(folder, tmp_path / "s.duckdb")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
