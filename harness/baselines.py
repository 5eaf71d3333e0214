"""Name a result as the one to beat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from harness.errors import HarnessError
from harness.history import found
from harness.stores import Store, VerdictRow
from harness.stores.baselines import Baseline, BaselineTable


def chosen(store: Store, identifier: str | None, candidate: str | None) -> VerdictRow:
    """The verdict that a job, or one of its runs, and a candidate's name mean.

    Raises HarnessError if that is none, or more than one.
    """
    job = found(store, identifier)
    rows = [row for row in store.verdicts(job.id) if row.before_run]
    of_run = [row for row in rows if identifier in (row.before_run, row.after_run)]
    matching = [row for row in of_run or rows if candidate in (None, row.candidate)]
    if len(matching) != 1:
        names = ", ".join(row.candidate for row in rows) or "none with a verdict"
        asked = f"no candidate {candidate!r} in job {job.id}" if candidate else f"which candidate of job {job.id}?"
        raise HarnessError(f"{asked}; give --candidate, one of: {names}")
    return matching[0]


def listed(table: BaselineTable, store: Store) -> Iterator[str]:
    """Every name with what it stands for, then what it stood for before."""
    decisions = {(row.job, row.candidate): row.decision for row in store.verdicts()}
    baselines = table.baselines()
    if not baselines:
        yield "no baseline yet: `secateur baseline bless JOB` names one"
        return
    yield f"{'name':16}{'blessed':18}{'job':10}{'candidate':16}{'verdict':14}note"
    seen: set[str] = set()
    for one in baselines:
        name = f"  before: {one.name}"[:15] if one.name in seen else one.name
        seen.add(one.name)
        decision = decisions.get((one.job, one.candidate), "gone")
        row = f"{name:16}{one.blessed:%Y-%m-%d %H:%M}  {one.job:10}{one.candidate:16}{decision:14}{one.note}"
        yield row.rstrip()


def bless(table: BaselineTable, verdict: VerdictRow, name: str | None, note: str, now: datetime) -> Baseline:
    """Let `name` (the candidate's own if none is given) stand for this verdict's result from now on.

    Raises HarnessError for text that would break a table.
    """
    if not (name or "").isprintable() or not note.isprintable():
        raise HarnessError("--name and --note: give one line without control characters")
    baseline = Baseline(name or verdict.candidate, verdict.job, verdict.candidate, now, note)
    table.bless(baseline)
    return baseline
