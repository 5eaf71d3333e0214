"""Add to a store what another one holds, without doubles: two machines, one history.

Taken is what belongs to finished jobs, for that does not change any more. A job that is not finished would be gone on
with here. Letters, schedules and their turns stay with the machine that sends and runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from harness.errors import HarnessError
from harness.stores.engine import quoted
from harness.stores.file import DuckdbFile, first_line, refuse_newer
from harness.stores.journal import undo
from harness.stores.migrations import STEPS
from harness.stores.rows import Connection

JOBS = "SELECT id FROM theirs.jobs WHERE finished IS NOT NULL"
RUNS = f"SELECT id FROM theirs.runs WHERE job IN ({JOBS})"
STAGES = f"SELECT stage FROM theirs.run_stages WHERE run IN ({RUNS})"
FINISHED_HERE = "SELECT id FROM stages WHERE finished IS NOT NULL"
TAKEN = {
    "jobs": "finished IS NOT NULL",
    "runs": f"job IN ({JOBS})",
    "run_stages": f"run IN ({RUNS})",
    # One that was finished here since does not go back to where it was there.
    "stages": f"id IN ({STAGES}) AND (finished IS NOT NULL OR id NOT IN ({FINISHED_HERE}))",
    "answers": f"stage IN ({STAGES})",
    "advice": f"stage IN ({STAGES})",
    "answer_divergences": f"stage IN ({STAGES})",
    "scores": f"stage IN ({STAGES})",
    "measurements": f"stage IN ({STAGES})",
    "items": f"stage IN ({STAGES})",
    "receipts": f"run IN ({RUNS})",
    "verdicts": f"job IN ({JOBS})",
    "deltas": f"job IN ({JOBS})",
    "flips": f"job IN ({JOBS})",
    "checks": f"run IN ({RUNS})",
    "grades": f"run IN ({RUNS})",
    "baselines": f"job IN ({JOBS})",
    "trials": f"job IN ({JOBS})",
}
"""Table -> which of its rows are taken."""


@dataclass(frozen=True)
class Merged:
    """What came of a merge."""

    added: dict[str, int]
    """Table -> rows."""
    unfinished: int
    """Jobs that were left where they are."""


def merge(file: DuckdbFile, other: Path) -> Merged:
    """Append the rows of another store whose primary keys are not there yet; the other is only read.

    Raises HarnessError, and changes nothing, if `other` is not a store of this schema, or has a row whose key is there
    with other content.
    """
    if not other.is_file():
        raise HarnessError(f"no store at {other}; give the .duckdb file of another results folder")
    if other.samefile(file.path):
        raise HarnessError(f"{other} is the store itself; give the .duckdb file of another results folder")

    undo(other)

    def work(db: Connection) -> Merged:
        try:
            return _merge(db, other)
        except duckdb.Error as error:
            raise HarnessError(f"cannot merge {other}: {first_line(error)}; nothing was changed") from error

    return file.transaction(work)


def _merge(db: Connection, other: Path) -> Merged:
    db.execute(f"ATTACH {quoted(other.resolve())} AS theirs (TYPE duckdb, READ_ONLY)")
    _refuse_foreign(db, other)
    _finish_stages(db)
    keys = _keys(db)
    for table in TAKEN:
        _refuse_conflict(db, table, keys[table], other)
    added = {table: _add(db, table, keys[table]) for table in TAKEN}
    ((unfinished,),) = db.execute("SELECT count(*) FROM theirs.jobs WHERE finished IS NULL").fetchall()
    return Merged(added, unfinished)


def _refuse_foreign(db: Connection, other: Path) -> None:
    """Refuse whatever has not the tables of this schema, column by column."""
    theirs = _columns(db, "'theirs'")
    if "schema_version" not in theirs:
        raise HarnessError(f"{other}: not a store of secateur: it has no table schema_version")
    ((version,),) = db.execute(
        "SELECT CAST(coalesce(max(version), 0) AS INTEGER) FROM theirs.schema_version"
    ).fetchall()
    refuse_newer(f"{other}: the store", version)
    if version < len(STEPS):
        raise HarnessError(
            f"{other}: schema {version}, where this one is {len(STEPS)}; `secateur store check --out DIR` with its"
            " folder brings it to the newest"
        )
    ours = _columns(db, "current_database()")
    for table in TAKEN:
        if theirs.get(table) != ours[table]:
            raise HarnessError(f"{other}: not a store of secateur: table {table} is not there, or has other columns")


def _columns(db: Connection, database: str) -> dict[str, dict[str, str]]:
    """Table -> column -> type; views do not count."""
    rows = db.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() JOIN duckdb_tables()"
        " USING (database_name, schema_name, table_name)"
        f" WHERE database_name = {database} AND schema_name = 'main'"
    ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        tables.setdefault(table, {})[column] = kind
    return tables


def _finish_stages(db: Connection) -> None:
    """Take the end of stages that a sequential plan had left, and of which a later job there has asked the rest."""
    db.execute(
        "UPDATE stages SET finished = t.finished, facts = t.facts, divergence = t.divergence"
        f" FROM (SELECT * FROM theirs.stages WHERE finished IS NOT NULL AND id IN ({STAGES})) t"
        " WHERE t.id = stages.id AND stages.finished IS NULL"
    )


def _keys(db: Connection) -> dict[str, str]:
    """Table -> columns of its primary key."""
    rows = db.execute(
        "SELECT table_name, constraint_column_names FROM duckdb_constraints()"
        " WHERE database_name = current_database() AND constraint_type = 'PRIMARY KEY'"
    ).fetchall()
    return {table: ", ".join(columns) for table, columns in rows}


def _refuse_conflict(db: Connection, table: str, key: str, other: Path) -> None:
    names = ", ".join(name for name, *_ in db.execute(f"DESCRIBE {table}").fetchall())
    found = db.execute(
        f"SELECT {key} FROM (SELECT {names} FROM (SELECT * FROM theirs.{table} WHERE {TAKEN[table]})"
        f" SEMI JOIN {table} USING ({key}) EXCEPT SELECT {names} FROM {table}) ORDER BY ALL LIMIT 1"
    ).fetchone()
    if found:
        where = ", ".join(f"{name} {value!r}" for name, value in zip(key.split(", "), found, strict=True))
        raise HarnessError(f"{other}: table {table}, {where}: is here too, with other content; nothing was changed")


def _add(db: Connection, table: str, key: str) -> int:
    """Append the rows whose key is not there; how many those are."""
    ((added,),) = db.execute(
        f"INSERT INTO {table} BY NAME SELECT * FROM (SELECT * FROM theirs.{table} WHERE {TAKEN[table]})"
        f" ANTI JOIN {table} USING ({key})"
    ).fetchall()
    return int(added)
