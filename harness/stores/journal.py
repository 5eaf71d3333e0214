"""What a checkpoint of DuckDB writes over in place, kept beside the file until the checkpoint is done.

A commit goes to the log beside the file and is safe there. A checkpoint then moves it into the file, to places that the
file's header does not name yet, and writes the header last; killed before, the old header and the log still hold
everything. One thing breaks that (DuckDB 2.0.1, seen by tracing its writes): a block of metadata that has room left is
written again where it lies, its used parts as they were. A process that is killed in the middle of that write leaves a
block with a wrong checksum, and the file does not open any more. So such blocks are kept here first, and put back by
whoever opens the file next.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import duckdb

from compress import drafts
from harness.stores.rows import Connection

SUFFIX = ".journal"
HEADERS = 3 * 4096
"""Bytes of the main header and of the two headers of which a checkpoint writes one, last of all."""
SIZE = struct.Struct("<Q")
"""Of a block, in bytes; once, after the headers."""
NUMBER = struct.Struct("<Q")
"""Of a block in the file; before each."""


def by_hand(db: Connection) -> None:
    """Let all connections of this engine checkpoint only in `close`."""
    db.execute("PRAGMA disable_checkpoint_on_shutdown; SET wal_autocheckpoint = '1TB'")
    with suppress(duckdb.CatalogException):  # DuckDB 1 has no such setting, and goes by the other one
        db.execute(f"SET auto_checkpoint_skip_wal_threshold = {2**62}")


def close(db: Connection, path: Path, leave: Callable[[], None]) -> None:
    """Move what has been committed from the log into the file, and `leave` it, which closes it.

    Where that fails, as on a full disk, nothing is said: the log still has it, and the next who opens the file tries
    again.
    """
    if not Path(f"{path}.wal").exists():
        leave()
        return
    # Closing any file on the same path gives up the lock that DuckDB has on it, so this one outlives the connection.
    with path.open("rb") as file:
        try:
            with suppress(OSError, duckdb.Error):
                _keep(db, path, file)
                db.execute("CHECKPOINT")
                _journal(path).unlink()
        finally:
            leave()


def undo(path: Path) -> None:
    """Put back what a checkpoint that was not done has written over; nothing where there is no such thing.

    No connection of this process may have the file open.
    """
    if not _journal(path).exists():
        return
    with _alone(path) as file:
        if file is not None and _journal(path).exists():
            _put_back(_journal(path).read_bytes(), file)
            _journal(path).unlink()


def _journal(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _keep(db: Connection, path: Path, file: BinaryIO) -> None:
    """Write the journal: the headers, and every block of metadata with room left."""
    ((size,),) = db.execute(
        "SELECT block_size FROM pragma_database_size() WHERE database_name = current_database()"
    ).fetchall()
    roomy = db.execute("SELECT block_id FROM pragma_metadata_info() WHERE free_blocks > 0").fetchall()
    with drafts.whole(_journal(path)) as draft, draft.open("wb") as journal:
        journal.write(file.read(HEADERS) + SIZE.pack(size))
        for (number,) in roomy:
            file.seek(HEADERS + number * size)
            journal.write(NUMBER.pack(number) + file.read(size))
        journal.flush()
        os.fsync(journal.fileno())


def _put_back(journal: bytes, file: BinaryIO) -> None:
    """Write the blocks back, unless the header is another one by now: then the checkpoint was done."""
    if file.read(HEADERS) != journal[:HEADERS]:
        return
    (size,) = SIZE.unpack_from(journal, HEADERS)
    for start in range(HEADERS + SIZE.size, len(journal), NUMBER.size + size):
        (number,) = NUMBER.unpack_from(journal, start)
        file.seek(HEADERS + number * size)
        file.write(journal[start + NUMBER.size :][:size])
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _alone(path: Path) -> Iterator[BinaryIO | None]:
    """The file, while no other process is inside; None where one is, which then has no need of the journal."""
    if not path.exists():
        _journal(path).unlink(missing_ok=True)
    try:
        file = path.open("r+b")
    except OSError:
        yield None
        return
    with file:
        yield file if _locked(file) else None


def _locked(file: BinaryIO) -> bool:
    if sys.platform == "win32":
        return True  # it would not have opened beside DuckDB
    import fcntl

    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
