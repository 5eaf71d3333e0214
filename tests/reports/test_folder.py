from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reports.errors import ReportError
from reports.folder import write_folder
from reports.page import Page
from reports.render import render


def test_texts_lie_beside_the_page(example: Page, tmp_path: Path) -> None:
    index = write_folder(example, tmp_path / "new" / "page")
    chunks = list((tmp_path / "new/page/cases").iterdir())
    assert index == tmp_path / "new/page/index.html"
    assert len(chunks) == 2
    assert all(chunk.read_text().startswith(f'keepChunk("cases/{chunk.name}", "') for chunk in chunks)
    assert 'class="chunk"' not in index.read_text()
    assert "strict-dynamic" in index.read_text()
    assert "strict-dynamic" not in render(example)


def test_what_stays_the_same_stays_and_what_is_old_goes(example: Page, tmp_path: Path) -> None:
    write_folder(example, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cases").iterdir()}
    (tmp_path / "cases" / "mine.js").write_text("1")
    write_folder(replace(example, candidates=example.candidates[1:2]), tmp_path)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "cases").iterdir()}
    (kept,) = before.keys() & after.keys()
    assert before[kept] == after[kept]
    assert after.keys() - before.keys() == {tmp_path / "cases" / "mine.js"}


def test_a_folder_that_cannot_be_made(example: Page, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"file/cases: cannot make the report's folder: Not a directory"):
        write_folder(example, tmp_path / "file")
