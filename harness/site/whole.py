"""The whole report of jobs, as `secateur report` draws it: slow, since every answer is graded and compared again."""

from __future__ import annotations

from pydantic import ValidationError

from harness.digest import digest
from harness.errors import HarnessError
from harness.history import publish
from harness.progress import Progress
from harness.site import file_name
from harness.site.manifest import Manifest
from harness.site.shelf import Shelf
from harness.stores import Job
from harness.stores.duckdb_store import DuckdbStore
from reports.site.drawing import version
from reports.site.link import Link
from suites.errors import SuiteError

WORDS = "The whole report: every case, every number, how it was made"
NOT_YET = "not while the job is running or interrupted"


def whole_reports(
    store: DuckdbStore, shelf: Shelf, manifest: Manifest, newest: int, progress: Progress
) -> dict[str, Link]:
    """Job -> its report, or why there is none. newest: of so many jobs one is drawn if it is not there yet.

    One that was drawn before stays, though a suite has changed since and it could not be drawn again.
    """
    jobs = [job for job in reversed(shelf.overview.jobs) if job.finished]
    due = [job for job in jobs[:newest] if _judged(shelf, job) and _outdated(shelf, manifest, job)]
    for done, job in enumerate(due):
        progress("whole reports", done, len(due))
        _draw(store, shelf, manifest, job)
    if due:
        progress("whole reports", len(due), len(due))
    return {job.id: _link(manifest, job) for job in shelf.overview.jobs}


def report_file(job: str) -> str:
    return file_name("reports", job)


def _judged(shelf: Shelf, job: Job) -> bool:
    return any(row.before_run for row in shelf.overview.verdicts.get(job.id, ()))


def _inputs(shelf: Shelf, job: Job) -> str:
    return digest(version(), job, shelf.overview.verdicts.get(job.id, ()))


def _outdated(shelf: Shelf, manifest: Manifest, job: Job) -> bool:
    name, inputs = report_file(job.id), _inputs(shelf, job)
    if manifest.refused.get(name, ("",))[0] == inputs:
        return False
    return manifest.files.get(name) != inputs or not (manifest.folder / name).is_file()


def _draw(store: DuckdbStore, shelf: Shelf, manifest: Manifest, job: Job) -> None:
    name, inputs = report_file(job.id), _inputs(shelf, job)
    path = manifest.folder / name
    path.parent.mkdir(exist_ok=True)
    manifest.files.setdefault(name, "")
    manifest.keep()
    try:
        publish(store, job, path)
    except (HarnessError, SuiteError, ValidationError) as error:
        why = "its plan is not such as this version reads" if isinstance(error, ValidationError) else str(error)
        manifest.refused[name] = (inputs, why)
        if not path.is_file():
            del manifest.files[name]
    else:
        manifest.files[name] = inputs
        manifest.refused.pop(name, None)


def _link(manifest: Manifest, job: Job) -> Link:
    name = report_file(job.id)
    if name in manifest.files:
        return Link(WORDS, name)
    if name in manifest.refused:
        return Link(manifest.refused[name][1])
    return Link(f"`secateur report {job.id}` draws it" if job.finished else NOT_YET)
