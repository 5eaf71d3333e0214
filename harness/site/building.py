"""Draw the site of a store: only what has changed, each file whole or not at all, the manifest first and last."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import drafts
from harness.digest import digest
from harness.errors import HarnessError
from harness.progress import Progress, silent
from harness.site import Sheet
from harness.site.comparing import compare_sheet
from harness.site.histories import history_sheets
from harness.site.index import index_sheets
from harness.site.jobs import JobSheets
from harness.site.manifest import Manifest
from harness.site.planning import schedule_sheet
from harness.site.searching import search_sheet
from harness.site.shelf import Shelf
from harness.site.suites import MOST_CASES, MOST_JOBS, suite_sheets
from harness.site.whole import whole_reports
from harness.stores.baselines import BaselineTable
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.overview import OverviewTable
from harness.stores.schedules import ScheduleTable
from reports.site.drawing import draw, version
from reports.site.pages import LivePage

SAYING = "1"
"""Raised whenever pages of the same store would say something else."""
FIRST = "index.html"
"""Drawn last: nothing it leads to is missing then."""


@dataclass(frozen=True)
class Built:
    """How many files were drawn, left as they were, and removed."""

    drawn: int
    kept: int
    removed: int


def build(store: DuckdbStore, folder: Path, newest: int, progress: Progress = silent) -> Built:
    """Bring a folder up to date with a store. newest: so many jobs get their whole report.

    Raises HarnessError for a folder with other files in it.
    """
    manifest = Manifest(folder)
    table = OverviewTable(store.file)
    shelf = Shelf(table.overview())
    jobs = JobSheets(shelf, table, whole_reports(store, shelf, manifest, newest, progress))
    sheets = [_dated(sheet) for sheet in (*jobs.sheets(), *_sheets(store, shelf, table))]
    stale = sorted(filter(manifest.stale, sheets), key=lambda sheet: sheet.name == FIRST)
    jobs.expect({sheet.name for sheet in stale})
    _draw(stale, manifest, progress)
    reports = {link.page for link in jobs.reports.values() if link.page}
    gone = manifest.files.keys() - {sheet.name for sheet in sheets} - reports
    manifest.remove(sorted(gone))
    manifest.keep()
    return Built(len(stale), len(sheets) - len(stale), len(gone))


def _sheets(store: DuckdbStore, shelf: Shelf, table: OverviewTable) -> Sequence[Sheet]:
    """All but those of the jobs."""
    cases = table.grades(MOST_JOBS, MOST_CASES)
    return (
        *history_sheets(BaselineTable(store.file)),
        *suite_sheets(shelf, cases),
        compare_sheet(shelf),
        schedule_sheet(ScheduleTable(store.file)),
        search_sheet(shelf, cases),
        Sheet("live.html", "", LivePage),
        *index_sheets(shelf, table.counts()),
    )


def _dated(sheet: Sheet) -> Sheet:
    """The sheet, to be drawn again too when another version draws."""
    return replace(sheet, inputs=digest(SAYING, importlib.metadata.version("secateur"), version(), sheet.inputs))


def _draw(sheets: Sequence[Sheet], manifest: Manifest, progress: Progress) -> None:
    manifest.claim(sheet.name for sheet in sheets)
    for number, sheet in enumerate(sheets):
        progress("pages", number, len(sheets))
        path = manifest.folder / sheet.name
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise HarnessError(f"{path.parent}: cannot make the folder: {error.strerror}") from error
        drafts.write(path, [draw(sheet.page(), sheet.name)])
        manifest.files[sheet.name] = sheet.inputs
    if sheets:
        progress("pages", len(sheets), len(sheets))
