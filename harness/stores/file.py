"""One DuckDB file that several processes share.

While a process holds a DuckDB file for writing nobody else can open it, so it is never kept open: each call attaches
the file, runs one transaction and detaches it, waiting for its turn when another process is inside.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from harness.errors import HarnessError
from harness.stores import engine, journal
from harness.stores.comments import statements
from harness.stores.engine import quoted
from harness.stores.migrations import STEPS
from harness.stores.rows import Connection, Row

Result = TypeVar("Result")
DAMAGED = "if the file is damaged, move it away and run again"
STILLBORN_SECONDS = 1.0
INTERRUPTED = "Query interrupted"
INSIDE = threading.Lock()
"""Held by the thread of this process that has a file open: DuckDB keeps processes apart, threads would share."""


class DuckdbFile:
    """A file of the newest schema, made if it is not there. `wait_seconds`: for another process that is inside."""

    def __init__(self, path: Path, wait_seconds: float) -> None:
        self.path = path
        self.wait_seconds = wait_seconds
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HarnessError(
                f"cannot make the folder {path.parent}: {error.strerror}; choose another by --out"
            ) from error
        self.transaction(migrate)

    def execute(self, sql: str, values: Sequence[Any]) -> None:
        self.transaction(lambda db: db.execute(sql, values) and None)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return self.transaction(lambda db: db.execute(sql, values).fetchall())

    def transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Open, run `work` in one transaction, close. `work` may not use the file but through its connection."""
        with INSIDE, self._attached() as db:
            db.begin()
            result = work(db)
            db.commit()
            journal.close(db, self.path, partial(engine.detach, db, self.path))
            return result

    @contextmanager
    def _attached(self) -> Iterator[Connection]:
        """The file as it is; if an error comes out, nothing is left of what was done inside."""
        db = _open(self.path, self.wait_seconds)
        try:
            yield db
        except BaseException as error:
            engine.stop(self.path)
            if isinstance(error, duckdb.Error):
                raise HarnessError(f"cannot use the store {self.path}: {first_line(error)}; {DAMAGED}") from error
            if isinstance(error, RuntimeError) and str(error) == INTERRUPTED:
                # What becomes of Ctrl-C while a query runs.
                raise KeyboardInterrupt from error
            raise


def now(ahead_seconds: float = 0.0) -> str:
    """This moment, or one ahead, as the store writes it: UTC, to the microsecond, so that text sorts as time does."""
    return (datetime.now(UTC) + timedelta(seconds=ahead_seconds)).isoformat(timespec="microseconds")


def _open(path: Path, wait_seconds: float) -> Connection:
    """Connect, waiting with jitter while another process is inside."""
    deadline = time.monotonic() + wait_seconds
    _forget_stillborn(path)
    while True:
        try:
            journal.undo(path)
            return engine.attach(path)
        except duckdb.Error as error:
            if not re.search(r"\block\b", str(error)):
                raise HarnessError(f"cannot open the store {path}: {first_line(error)}; {DAMAGED}") from error
            if time.monotonic() > deadline:
                holder = re.search(r"PID (\d+)", str(error))
                who = f"process {holder[1]}" if holder else "another process"
                raise HarnessError(f"the store {path} is in use by {who}; waited {wait_seconds:.0f} s") from error
            time.sleep(random.uniform(0.02, 0.1))


def connected(path: Path, read_only: bool = False) -> Connection:
    """Open a file by an engine of its own, without a bar."""
    db = duckdb.connect(str(path), read_only=read_only)
    engine.silence(db)
    return db


def _forget_stillborn(path: Path) -> None:
    """Remove an empty file, left when a process was killed while it made the store."""
    if path.is_file() and path.stat().st_size == 0 and time.time() - path.stat().st_mtime > STILLBORN_SECONDS:
        path.unlink(missing_ok=True)


def migrate(db: Connection, target: int = len(STEPS)) -> None:
    """Apply the steps up to the target that this file has not seen."""
    tables = {str(name) for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if tables and "schema_version" not in tables:
        raise HarnessError(f"not a store of secateur: it holds {', '.join(sorted(tables)[:3])}; it is left as it is")
    db.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = db.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    version = row[0] if row else 0
    refuse_newer("the store", version)
    for number, step in enumerate(STEPS[version:target], start=version + 1):
        db.execute(step)
        db.execute("INSERT INTO schema_version VALUES (?)", [number])
    if version < target == len(STEPS):
        db.execute(statements())


def refuse_newer(what: str, version: int) -> None:
    if version > len(STEPS):
        raise HarnessError(f"{what} was written by a newer secateur (schema {version}, this one knows {len(STEPS)})")


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0].removeprefix("IO Error: ")


def pattern(path: Path) -> str:
    """As SQL text where a path is a pattern to DuckDB."""
    return quoted(re.sub(r"([*?\[])", r"[\1]", str(path)))
