"""Jobs of the store as rows of the site's pages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from harness.errors import HarnessError
from harness.site import history_file, job_file, readable
from harness.site.findings import gate_rows, key_numbers
from harness.stores import Job, VerdictRow
from harness.stores.overview import Overview
from reports.page import GateRow
from reports.site.link import Link, Word
from reports.site.pages import JobRow, KeyNumber, Outcome, Standing

MOST_KEYS = 3
"""Numbers a row shows of a candidate."""
MOST_PAST = 24
"""Verdicts a standing shows."""
WORDS: dict[str, Word] = {"PASS": "PASS", "REGRESSION": "REGRESSION", "INCONCLUSIVE": "INCONCLUSIVE"}


def word(decision: str) -> Word:
    """A stored decision, or ERROR for anything else."""
    return WORDS.get(decision, "ERROR")


class Shelf:
    """An overview, and what pages say of each job."""

    def __init__(self, overview: Overview) -> None:
        self.overview = overview

    @cached_property
    def rows(self) -> dict[str, JobRow]:
        """By job, oldest first."""
        return {job.id: self._row(job) for job in self.overview.jobs}

    @cached_property
    def by_plan(self) -> dict[str, list[Job]]:
        """Jobs of a plan, oldest first."""
        found: dict[str, list[Job]] = {}
        for job in self.overview.jobs:
            found.setdefault(job.plan_name, []).append(job)
        return found

    def gates(self, verdict: VerdictRow) -> tuple[GateRow, ...]:
        """None where they cannot be read."""
        try:
            return gate_rows(verdict, self.overview.deltas.get((verdict.job, verdict.candidate), ()))
        except HarnessError:
            return ()

    def _keys(self, verdict: VerdictRow) -> tuple[KeyNumber, ...]:
        return key_numbers(self.gates(verdict), MOST_KEYS) if verdict.before_run else ()

    def standings(self) -> Iterator[Standing]:
        """The newest verdict of every candidate of every plan, by plan, the plan with the newest job first."""
        newest = sorted(self.by_plan.items(), key=lambda item: item[1][-1].started, reverse=True)
        for plan, jobs in newest:
            past: dict[str, list[tuple[Job, Outcome]]] = {}
            for job in jobs:
                for outcome in self.rows[job.id].outcomes:
                    past.setdefault(outcome.candidate, []).append((job, outcome))
            for candidate, found in past.items():
                job, outcome = found[-1]
                yield Standing(
                    plan,
                    outcome,
                    self.rows[job.id].job,
                    readable(job.started),
                    Link("over time", history_file(plan, candidate)),
                    tuple(one.decision for _, one in found[-MOST_PAST:]),
                )

    def _row(self, job: Job) -> JobRow:
        return JobRow(
            Link(job.id, job_file(job.id)),
            job.plan_name,
            readable(job.started),
            "running or interrupted" if job.finished is None else "",
            tuple(
                Outcome(row.candidate, word(row.decision), row.reason, self._keys(row))
                for row in self.overview.verdicts.get(job.id, ())
            ),
        )
