"""A page in a folder: index.html, and what the cases say in files beside it that are read when they are shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

from reports.errors import ReportError
from reports.page import Page
from reports.payload import CHUNKS, chunk_name
from reports.render import drawn, payloads
from reports.saving import save

INDEX = "index.html"
OURS = re.compile(r"[0-9a-f]{16}\.js")
"""Names of our files in the folder of chunks; others are left alone."""


def write_folder(page: Page, folder: Path) -> Path:
    """Write the page into a folder, which is made if it is absent, and say where the page is.

    The page comes last, so that it never names a file that is not there; files of an older page go after it.
    Raises: ReportError, if a file cannot be written.
    """
    data = payloads(page)
    files = {chunk_name(chunk): chunk for each in data for chunk in each.chunks}
    _make(folder / CHUNKS)
    for name, chunk in files.items():
        if not (folder / name).exists():
            save(f"keepChunk({json.dumps(name)}, {json.dumps(chunk)});\n", folder / name)
    save(drawn(page, data, beside=True), folder / INDEX)
    for old in (folder / CHUNKS).iterdir():
        if OURS.fullmatch(old.name) and f"{CHUNKS}/{old.name}" not in files:
            old.unlink()
    return folder / INDEX


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(f"{folder}: cannot make the report's folder: {error.strerror}") from error
