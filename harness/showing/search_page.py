"""Account -> the words of a search's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.history import provenance, readable
from harness.search.account import Account, accounted
from harness.showing.searches import KINDS
from harness.stores import Job
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.trials import TrialRow, TrialTable
from harness.verdicts.outcome import EXIT_CODES
from reports.page import Decision, Fact
from reports.search.drawing import write_search
from reports.search.page import SearchPage, TrialLine, VariantLine

DECISIONS: dict[str, Decision] = {name: name for name in EXIT_CODES}


def publish_search(store: DuckdbStore, job: Job, path: Path) -> Path:
    """Write the page of a search from what is stored. Raises HarnessError if the job is none."""
    rows = TrialTable(store.file).rows(job.id)
    if not rows:
        raise HarnessError(f"job {job.id} is no search")
    write_search(search_page(accounted(job, rows), job), path)
    return path


def search_page(account: Account, job: Job) -> SearchPage:
    """The page of one search."""
    steps = [row for row in account.rows if row.kind in KINDS]
    return SearchPage(
        plan=account.plan,
        created=readable(job.started),
        decision=next(decision for decision, code in EXIT_CODES.items() if code == account.exit_code),
        sentences=tuple(account.sentences()),
        command=job.command,
        trials=tuple(_trial(row, steps) for row in steps),
        variants=tuple(_variant(row) for row in account.of("variant")),
        provenance=(*provenance(job), Fact("plan", job.plan)),
    )


def _trial(row: TrialRow, steps: Sequence[TrialRow]) -> TrialLine:
    return TrialLine(
        step=KINDS[row.kind],
        variant=row.variant,
        sparsity=row.sparsity,
        parameters=row.parameters,
        divergence=row.divergence,
        low=row.divergence_low,
        high=row.divergence_high,
        expected=row.predicted,
        decision=DECISIONS.get(row.decision),
        reason=row.reason,
        seconds=row.seconds,
        front=_on_front(row, steps),
    )


def _on_front(row: TrialRow, steps: Sequence[TrialRow]) -> bool:
    """Whether no other step is at once smaller and nearer to the original."""
    if row.divergence is None:
        return False
    return not any(
        other.divergence is not None
        and other.parameters <= row.parameters
        and other.divergence <= row.divergence
        and (other.parameters, other.divergence) != (row.parameters, row.divergence)
        for other in steps
    )


def _variant(row: TrialRow) -> VariantLine:
    fate = f"dropped: {row.reason}" if row.reason else "followed to where its gates break"
    return VariantLine(row.variant, row.sparsity or None, row.predicted, row.predicted_low, row.predicted_high, fate)
