"""DuckDB's engine, kept from one transaction to the next: starting one takes eight times as long as attaching a file.

Between transactions it holds no file. While one is attached it is locked, as if it had been opened.
"""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from harness.stores import journal
from harness.stores.rows import Connection

NAME = "store"
"""Of the file that is attached."""
ENGINES: dict[tuple[int, Path], Connection] = {}
"""By process and file: one of this process; one of its parent, where it was forked, is neither used nor closed."""


def attach(path: Path) -> Connection:
    """A connection to the file, which is made if it is not there. Raises: duckdb.Error."""
    db = _engine(path).cursor()
    try:
        silence(db)
        db.execute(f"ATTACH {quoted(path)} AS {NAME} (TYPE duckdb)")
        db.execute(f"USE {NAME}")
    except BaseException:
        stop(path)
        raise
    return db


def detach(db: Connection, path: Path) -> None:
    """Close the connection, the file, and what a transaction has attached beside it."""
    db.close()
    engine = _engine(path)
    try:
        for (name,) in engine.execute("SELECT database_name FROM duckdb_databases() WHERE path IS NOT NULL").fetchall():
            engine.execute(f"DETACH {name}")
    except duckdb.Error:
        stop(path)


def stop(path: Path) -> None:
    """Close the engine with everything in it, what was not committed undone; after an error it may be of no use."""
    if engine := ENGINES.pop((os.getpid(), path), None):
        engine.close()


def silence(db: Connection) -> None:
    """Leave out the bar that DuckDB draws on the standard output while a query takes long; of this connection alone."""
    db.execute("SET enable_progress_bar = false")


def quoted(path: Path | str) -> str:
    """As SQL text; not every statement takes values apart from its text."""
    return "'" + str(path).replace("'", "''") + "'"


def _engine(path: Path) -> Connection:
    """What does not fit into memory goes beside the file."""
    mine = (os.getpid(), path)
    if mine not in ENGINES:
        for other in [one for one in ENGINES if one[0] == os.getpid()]:
            ENGINES.pop(other).close()
        ENGINES[mine] = duckdb.connect(":memory:", config={"temp_directory": f"{path}.tmp"})
        journal.by_hand(ENGINES[mine])
    return ENGINES[mine]
