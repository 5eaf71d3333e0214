"""A store as a folder of Parquet files, and back: for other tools, and to keep.

One file a table, and a manifest with the schema's number and each table's rows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from compress import drafts
from harness.errors import HarnessError
from harness.stores.engine import quoted
from harness.stores.file import DuckdbFile, connected, first_line, migrate, pattern, refuse_newer
from harness.stores.rows import Connection

MANIFEST = "manifest.json"
MANIFEST_MAX_BYTES = 2**20
NOT_WRITTEN = {"schema_version", "leases"}
"""The manifest has the first; the second is held by a process that runs here and now."""


@dataclass(frozen=True)
class Manifest:
    """What an export says of itself."""

    schema: int
    tables: dict[str, int]
    """Table -> number of rows."""


def export(file: DuckdbFile, folder: Path) -> dict[str, int]:
    """Write every table as it is at one moment; table -> rows.

    Raises HarnessError if there is something at `folder`, or it cannot be written.
    """
    folder = folder.resolve()
    if folder.exists():
        raise HarnessError(f"{folder} is there already; name a folder that is not")
    with placed(folder) as draft:
        draft.mkdir()
        manifest = file.transaction(lambda db: _write(db, draft))
        (draft / MANIFEST).write_text(json.dumps(vars(manifest), indent=2) + "\n", encoding="utf-8")
    return manifest.tables


def restore(folder: Path, path: Path) -> dict[str, int]:
    """Make a store at `path` from an export, of this schema or an older one; table -> rows.

    Raises HarnessError, and makes nothing, if a store is there or the export is not whole.
    """
    folder, path = folder.resolve(), path.resolve()
    manifest = _manifest(folder)
    if path.exists():
        raise HarnessError(
            f"there is a store at {path}; import into another folder by --out, then `secateur store merge` the two"
        )
    with placed(path) as draft:
        try:
            with connected(draft) as db:
                _fill(db, folder, manifest)
        except duckdb.Error as error:
            raise HarnessError(f"{path}: cannot write: {first_line(error)}") from error
        DuckdbFile(draft, wait_seconds=0.0)
    return manifest.tables


@contextmanager
def placed(place: Path) -> Iterator[Path]:
    """Where to write what takes this place, once all that is done inside went well."""
    try:
        drafts.sweep(place)
        room = drafts.draft(place)
    except OSError as error:
        raise HarnessError(f"{place}: cannot write: {error.strerror}") from error
    try:
        yield room / place.name
        (room / place.name).rename(place)
    except OSError as error:
        raise HarnessError(f"{place}: cannot write: {error.strerror}") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _write(db: Connection, folder: Path) -> Manifest:
    ((version,),) = db.execute("SELECT max(version) FROM schema_version").fetchall()
    with duckdb.connect() as bare:
        migrate(bare, version)
        tables = _tables(bare)  # Those that the owner of the file has added are none of ours.
    for table in tables:
        try:
            db.execute(f"COPY {table} TO {quoted(folder / f'{table}.parquet')} (FORMAT parquet)")
        except duckdb.Error as error:
            raise HarnessError(f"{table}.parquet: cannot write: {first_line(error)}") from error
    return Manifest(version, {table: _count(db, table) for table in tables})


def _tables(db: Connection) -> list[str]:
    rows = db.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()
    return [table for (table,) in rows if table not in NOT_WRITTEN]


def _manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder from outside."""
    path = folder / MANIFEST
    if not path.is_file():
        raise HarnessError(f"no export at {folder}: it has no {MANIFEST}; `secateur store export DIR` makes one")
    if path.stat().st_size > MANIFEST_MAX_BYTES:
        raise HarnessError(f"{path}: larger than {MANIFEST_MAX_BYTES // 2**20} MiB")
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{path}: not valid JSON: {error}") from error
    match data:
        case {"schema": int(schema), "tables": dict(tables)} if schema > 0:
            refuse_newer(f"{path}: the export", schema)
            return Manifest(schema, tables)
    raise HarnessError(f'{path}: not a manifest; it has the form {{"schema": 1, "tables": {{"jobs": 2}}}}')


def _fill(db: Connection, folder: Path, manifest: Manifest) -> None:
    """Make the schema that the export has, and append what its files hold."""
    db.begin()
    migrate(db, manifest.schema)
    for table in _tables(db):
        path = folder / f"{table}.parquet"
        if not path.is_file():
            raise HarnessError(f"{folder}: the export is not whole: no {path.name}")
        try:
            _append(db, table, path, manifest)
        except duckdb.Error as error:
            raise HarnessError(f"{path}: cannot be imported: {first_line(error)}") from error
    db.commit()


def _append(db: Connection, table: str, path: Path, manifest: Manifest) -> None:
    # Folders such as day=1 would become columns.
    source = f"read_parquet({pattern(path)}, hive_partitioning = false)"
    if columns(db, source) != (wanted := columns(db, table)):
        names = ", ".join(f"{name} {kind}" for name, kind in wanted)
        raise HarnessError(f"{path}: not the columns of schema {manifest.schema}, which are {names}")
    rows, said = _count(db, source), manifest.tables.get(table)
    if rows != said:
        raise HarnessError(f"{path}: {rows} rows, where {MANIFEST} says {said!r:.40}")
    db.execute(f"INSERT INTO {table} SELECT * FROM {source}")


def columns(db: Connection, source: str) -> list[tuple[str, str]]:
    """Name and type."""
    return [row[:2] for row in db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]


def _count(db: Connection, source: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0])
