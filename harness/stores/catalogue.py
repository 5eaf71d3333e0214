"""A place that many machines share, as a store to read: a DuckDB file in the cache, over the Parquet files there.

Small tables are copied into it; those with a row an item are views of the files, of which a query opens only those of
the stage or job it asks for. Folders never change, so a catalogue is right as long as there are the same ones, and with
those that came it makes the next one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb

from harness.digest import digest
from harness.errors import HarnessError
from harness.stores.file import connected, first_line, migrate, pattern
from harness.stores.migrations import STEPS
from harness.stores.parquet import columns, placed
from harness.stores.places import Place, cache
from harness.stores.pushing import folders, tables
from harness.stores.rows import Connection

VIEWS = {
    **dict.fromkeys(("answers", "advice", "answer_divergences", "measurements", "items"), "stage"),
    "flips": "job",
    "checks": "",
    "grades": "",
}
"""Table that is not copied -> which of its columns the folders are named by."""
KEPT_SECONDS = 86400.0
"""An older catalogue may still be open in another process."""


def catalogue(where: Place) -> Path:
    """The DuckDB file over all that is there now. Raises HarnessError if that is nothing, or cannot be read."""
    there = folders(where)
    if not any("/job=" in folder for folder in there):
        raise HarnessError(f"nothing is shared at {where.name} yet; `secateur store push {where.name}` puts jobs there")
    path = cache(where) / f"{digest(len(STEPS), list(there))[:16]}.duckdb"
    if not path.is_file():
        root = where.fetched(there)
        with placed(path) as draft:
            known = _begun(draft, path.parent, there)
            with connected(draft) as db:
                _fill(db, root, there, known)
        _forget_old(path)
    return path


def _begun(draft: Path, folder: Path, there: Collection[str]) -> set[str]:
    """Begin with the newest catalogue, if all that it holds is still there; which folders that is."""
    for newest in sorted(folder.glob("*.duckdb"), key=lambda path: path.stat().st_mtime, reverse=True)[:1]:
        try:
            with connected(newest, read_only=True) as db:
                known = {str(name) for (name,) in db.execute("SELECT path FROM folders").fetchall()}
        except duckdb.Error:  # In use by another process.
            return set()
        if known <= set(there):
            shutil.copyfile(newest, draft)
            return known
    return set()


def _fill(db: Connection, root: Path, there: Mapping[str, Sequence[str]], known: Collection[str]) -> None:
    """known: folders whose rows are there already."""
    migrate(db)
    db.execute("CREATE TABLE IF NOT EXISTS folders (path VARCHAR)")
    db.execute("INSERT INTO folders SELECT unnest($new)", {"new": sorted(set(there) - set(known))})
    for table in tables():
        file = f"{table}.parquet"
        wanted = there if table in VIEWS else there.keys() - known
        files = [root / folder / file for folder in sorted(wanted) if file in there[folder]]
        if files:
            try:
                _add(db, table, files)
            except duckdb.Error as error:
                raise HarnessError(f"{root}: {file} of a folder cannot be read: {first_line(error)}") from error


def _add(db: Connection, table: str, files: Sequence[Path]) -> None:
    """Add to a table, or put a view in its place."""
    names = ", ".join(map(pattern, files))
    # Folders further up would be columns too.
    part = "" if "=" in str(files[0].parent.parent) else VIEWS.get(table)
    hive = f"true, hive_types = {{'{part}': VARCHAR}}" if part else "false"
    source = f"read_parquet([{names}], hive_partitioning = {hive})"
    wanted = columns(db, table)
    if columns(db, source) != wanted:
        names = ", ".join(f"{name} {kind}" for name, kind in wanted)
        raise HarnessError(f"{files[0]}: not the columns of schema {len(STEPS)}, which are {names}")
    if table not in VIEWS:
        db.execute(f"INSERT INTO {table} SELECT * FROM {source}")
    else:
        ((views,),) = db.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = ?", [table]).fetchall()
        db.execute(f"DROP {'VIEW' if views else 'TABLE'} {table}")
        db.execute(f"CREATE VIEW {table} AS SELECT * FROM {source}")


def _forget_old(path: Path) -> None:
    for other in path.parent.glob("*.duckdb"):
        if other != path and time.time() - other.stat().st_mtime > KEPT_SECONDS:
            other.unlink(missing_ok=True)
