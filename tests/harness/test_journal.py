"""A checkpoint that was torn in the middle of a block is undone by whoever opens the store next."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import duckdb
import pytest

from harness.errors import HarnessError
from harness.stores import journal
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.migrations import STEPS

BLOCK, TORN = 262_144, 4096
"""Bytes of a block, and how many of it were written when the process was killed."""
Files = dict[str, bytes]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A store of the first schema when the checkpoint of its migration begins; `done`: the store after it."""
    folder, found, keep = tmp_path / "whole", {}, journal._keep
    folder.mkdir()
    with duckdb.connect(str(folder / "s.duckdb")) as db:
        db.execute(f"CREATE TABLE schema_version (version INTEGER NOT NULL); {STEPS[0]}")
        db.execute("INSERT INTO schema_version VALUES (1)")
        db.execute("INSERT INTO scores VALUES ('stage', 'request', -1.5, true)")

    def watched(*arguments: object) -> None:
        keep(*arguments)
        found.update({one.name: one.read_bytes() for one in folder.iterdir()})

    monkeypatch.setattr(journal, "_keep", watched)
    DuckdbStore(folder / "s.duckdb")
    monkeypatch.undo()
    return {**found, "done": (folder / "s.duckdb").read_bytes()}


def torn(before: bytes, after: bytes) -> bytes:
    """The file before, with the first bytes of what was written over in place."""
    (block,) = (at for at in range(journal.HEADERS, len(before), BLOCK) if before[at:][:BLOCK] != after[at:][:BLOCK])
    return before[:block] + after[block : block + TORN] + before[block + TORN :]


def opened(folder: Path, files: Files) -> Path:
    """A store of these files, opened and used."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    file = DuckdbStore(folder / "s.duckdb").file
    assert file.rows("SELECT max(version) FROM schema_version") == [(len(STEPS),)]
    assert file.rows("SELECT * FROM scores") == [("stage", "request", -1.5, True)]
    return folder


def test_a_torn_checkpoint_is_undone_and_the_log_read_again(files: Files, tmp_path: Path) -> None:
    assert set(files) == {"s.duckdb", "s.duckdb.wal", "s.duckdb.journal", "done"}
    done = files.pop("done")
    files["s.duckdb"] = torn(files["s.duckdb"], done)
    assert [one.name for one in opened(tmp_path / "undone", files).iterdir()] == ["s.duckdb"]
    del files["s.duckdb.journal"]
    with pytest.raises(HarnessError, match="checksum"):
        opened(tmp_path / "lost", files)


def test_a_checkpoint_that_was_done_stays(files: Files, tmp_path: Path) -> None:
    del files["s.duckdb.wal"]
    files["s.duckdb"] = files.pop("done")
    assert [one.name for one in opened(tmp_path / "done", files).iterdir()] == ["s.duckdb"]


def test_the_journal_of_a_store_that_is_gone_is_forgotten(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    path.with_name("s.duckdb.journal").write_bytes(files["s.duckdb.journal"])
    DuckdbStore(path)
    assert [one.name for one in tmp_path.glob("s.*")] == ["s.duckdb"]


def test_on_a_full_disk_the_log_keeps_what_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DuckdbStore(tmp_path / "s.duckdb")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_keep", full)
        store.file.execute("INSERT INTO scores VALUES (?, 'request', -1.5, true)", ["stage"])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["s.duckdb", "s.duckdb.wal"]
    assert store.file.rows("SELECT stage FROM scores") == [("stage",)]
    assert [one.name for one in tmp_path.iterdir()] == ["s.duckdb"]
