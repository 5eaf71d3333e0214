"""Everything that has a name, for the page that looks through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from harness.digest import digest
from harness.site import Sheet, history_file, job_file, suite_file
from harness.site.shelf import Shelf
from harness.stores.overview import GradedCase
from reports.site.pages import Entry, SearchPage

MOST_ENTRIES = 20_000


def search_sheet(shelf: Shelf, cases: Sequence[GradedCase]) -> Sheet:
    """The page that looks for plans, jobs, runs, metrics, suites and cases by their names."""
    entries = tuple(dict.fromkeys(_entries(shelf, cases)))
    shown = entries[:MOST_ENTRIES]
    return Sheet("search.html", digest(entries), partial(SearchPage, shown, len(entries) - len(shown)))


def _entries(shelf: Shelf, cases: Sequence[GradedCase]) -> Iterator[Entry]:
    jobs = list(reversed(shelf.overview.jobs))
    for plan in dict.fromkeys(job.plan_name for job in jobs):
        yield Entry("plan", plan, job_file(shelf.by_plan[plan][-1].id))
    for suite in dict.fromkeys(case.suite for case in cases):
        yield Entry("suite", suite, suite_file(suite))
    for job in jobs:
        row = shelf.rows[job.id]
        said = ", ".join(f"{one.candidate} {one.decision}" for one in row.outcomes)
        yield Entry("job", f"{job.id} {job.plan_name} {row.started} {said}", row.job.page)
    for job in jobs:
        for verdict in shelf.overview.verdicts.get(job.id, ()):
            for delta in shelf.overview.deltas.get((job.id, verdict.candidate), ()):
                text = f"{delta.metric} of {verdict.candidate} in {job.plan_name}"
                yield Entry("metric", text, history_file(job.plan_name, verdict.candidate))
    for job in jobs:
        for verdict in shelf.overview.verdicts.get(job.id, ()):
            for run in filter(None, (verdict.before_run, verdict.after_run)):
                yield Entry("run", f"{run} {verdict.candidate} {job.plan_name}", job_file(job.id))
    for case in cases:
        yield Entry("case", f"{case.suite} / {case.case}", suite_file(case.suite))
