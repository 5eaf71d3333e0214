"""Suites, and how each of their cases went, job after job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

from harness.digest import digest
from harness.site import Sheet, job_file, suite_file
from harness.site.shelf import Shelf
from harness.stores import Job
from harness.stores.overview import GradedCase
from reports.site.histories import Strip, StripTable, SuitePage, SuiteRow, SuitesPage
from reports.site.link import Link

MOST_JOBS = 40
"""Columns of a strip: the newest jobs."""
MOST_CASES = 300
"""Rows of a table; the unsteady come first."""
CELL = re.compile(r"(\d+)([plgf])")
NONE_KEPT = "No case has a grade yet; `secateur store check --rebuild` makes those of jobs of older versions."


def suite_sheets(shelf: Shelf, cases: Sequence[GradedCase]) -> Iterator[Sheet]:
    """The list of suites, and a page each. cases: at most MOST_CASES a suite, plan and candidate, in this order."""
    columns = _columns(shelf)
    rows = []
    for suite, group in groupby(cases, key=lambda case: case.suite):
        tables = tuple(_tables(list(group), columns))
        page = SuitePage(suite, tables)
        name = suite_file(suite)
        rows.append(_row(Link(suite, name), tables))
        yield Sheet(name, digest(page), partial(SuitePage, page.suite, page.tables))
    listed = SuitesPage(tuple(rows), "" if rows or not shelf.overview.jobs else NONE_KEPT)
    yield Sheet("suites.html", digest(listed), lambda: listed)


def _columns(shelf: Shelf) -> dict[tuple[str, str], list[Job]]:
    """Plan and candidate -> the newest jobs that judged it, newest first."""
    found: dict[tuple[str, str], list[Job]] = {}
    for job in sorted(shelf.overview.jobs, key=lambda job: job.id):
        for row in shelf.overview.verdicts.get(job.id, ()):
            if row.before_run:
                found.setdefault((job.plan_name, row.candidate), []).append(job)
    return {key: sorted(jobs, key=lambda job: job.started, reverse=True)[:MOST_JOBS] for key, jobs in found.items()}


def _tables(cases: Sequence[GradedCase], columns: dict[tuple[str, str], list[Job]]) -> Iterator[StripTable]:
    for (plan, candidate), group in groupby(cases, key=lambda case: (case.plan, case.candidate)):
        listed = list(group)
        told = [{int(back): cell for back, cell in CELL.findall(case.cells)} for case in listed]
        # The newest job that asked this suite is the last column.
        known = sorted(set().union(*told), reverse=True)
        jobs = columns[plan, candidate]
        strips = tuple(
            Strip(case.case, "".join(cells.get(back, "-") for back in known))
            for case, cells in zip(listed, told, strict=True)
        )
        links = tuple(Link(jobs[back - 1].started[:10], job_file(jobs[back - 1].id)) for back in known)
        yield StripTable(plan, candidate, links, strips, listed[0].cases - len(listed))


def _row(link: Link, tables: Sequence[StripTable]) -> SuiteRow:
    names = {strip.case for table in tables for strip in table.strips}
    unsteady = {strip.case for table in tables for strip in table.strips if set(strip.cells) & set("lgf")}
    most = max(len(table.strips) + table.left_out for table in tables)
    return SuiteRow(
        link, max(len(names), most), len({job.page for table in tables for job in table.jobs}), len(unsteady)
    )
