"""A page a job, from what is stored of it alone: it needs no suite, no plan file and no model to be there still."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from harness.digest import digest
from harness.site import Sheet, history_file, job_file, readable
from harness.site.findings import number_rows
from harness.site.shelf import Shelf
from harness.stores import Job, VerdictRow
from harness.stores.overview import FlipText, OverviewTable
from reports.page import CandidatePage, Fact
from reports.site.link import Link
from reports.site.pages import FlippedItem, JobPage, JudgedPart

MOST_FLIPS = 12
"""Of a metric and a kind, on a job's page; the report has all."""
MOST_LETTERS = 600
AT_ONCE = 100
"""Jobs whose flips are read together."""
NO_TEXT = Link("")


class JobSheets:
    """The pages of all jobs. reports: job -> its whole report, or why there is none."""

    def __init__(self, shelf: Shelf, table: OverviewTable, reports: Mapping[str, Link]) -> None:
        self.shelf, self.table, self.reports = shelf, table, reports
        self.wanted: list[str] = []
        self.flips: dict[str, list[FlipText]] = {}

    def sheets(self) -> Iterator[Sheet]:
        overview = self.shelf.overview
        for jobs in self.shelf.by_plan.values():
            for index, job in enumerate(jobs):
                near = (_neighbour(jobs, index - 1), _neighbour(jobs, index + 1))
                verdicts = overview.verdicts.get(job.id, ())
                deltas = [overview.deltas.get((job.id, row.candidate), ()) for row in verdicts]
                inputs = digest(job, verdicts, deltas, near, self.reports.get(job.id))
                yield Sheet(job_file(job.id), inputs, partial(self._page, job, near))

    def expect(self, names: Collection[str]) -> None:
        """Say which files will be drawn next, in this order; what they show is read many jobs at a time."""
        self.wanted = [job.id for jobs in self.shelf.by_plan.values() for job in jobs if job_file(job.id) in names]

    def _page(self, job: Job, near: tuple[Link, Link]) -> JobPage:
        overview = self.shelf.overview
        flips = self._flips(job.id)
        judged = [row for row in overview.verdicts.get(job.id, ()) if row.before_run]
        facts = {"plan digest": job.digest[:16], **job.facts, "plan": job.plan}
        return JobPage(
            self.shelf.rows[job.id],
            job.command,
            readable(job.finished) if job.finished else "",
            self.reports.get(job.id, NO_TEXT),
            tuple(self._part(job, row, [one for one in flips if one.candidate == row.candidate]) for row in judged),
            tuple(Fact(name, str(value)) for name, value in facts.items()),
            *near,
        )

    def _part(self, job: Job, row: VerdictRow, flips: list[FlipText]) -> JudgedPart:
        deltas = self.shelf.overview.deltas.get((job.id, row.candidate), ())
        after = self.shelf.overview.runs.get(row.after_run)
        known = {"source": after.model.source, "fingerprint": after.fingerprint[:16]} if after else {}
        runs = {"run of the original": row.before_run, "run of the candidate": row.after_run}
        candidate = CandidatePage(
            row.candidate,
            row.decision,  # type: ignore[arg-type]
            row.reason,
            gates=self.shelf.gates(row),
            numbers=number_rows(deltas),
            facts=tuple(Fact(name, value) for name, value in {**runs, **known}.items()),
        )
        items = tuple(
            FlippedItem(
                one.metric, one.item, "loss" if one.kind == "loss" else "gain", one.prompt, one.before, one.after
            )
            for one in flips
        )
        # A suite's losses are counted by three of its metrics; flips are kept under one.
        of_flips = {one.metric for one in flips}
        all_flips = sum(delta.losses + delta.gains for delta in deltas if delta.metric in of_flips)
        link = Link("Over time", history_file(job.plan_name, row.candidate))
        return JudgedPart(candidate, items, max(0, all_flips - len(items)), link, (row.before_run, row.after_run))

    def _flips(self, job: str) -> list[FlipText]:
        if job not in self.flips:
            at = self.wanted.index(job)
            chosen = self.wanted[at : at + AT_ONCE]
            self.flips = {one: [] for one in chosen} | self.table.flips(chosen, MOST_FLIPS, MOST_LETTERS)
        return self.flips[job]


def _neighbour(jobs: list[Job], index: int) -> Link:
    if not 0 <= index < len(jobs):
        return NO_TEXT
    return Link(readable(jobs[index].started), job_file(jobs[index].id))
