"""What a search has done and what it cost; a step that is written down is not done again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from harness.stores.trials import Kind, TrialRow, TrialTable


class Ledger:
    """Of one job."""

    def __init__(self, table: TrialTable, job: str, budget_seconds: float) -> None:
        self._table = table
        self._job = job
        self._budget = budget_seconds
        self._rows = {(row.kind, row.variant, row.sparsity): row for row in table.rows(job)}

    @property
    def rows(self) -> list[TrialRow]:
        """In the order in which they ended."""
        return list(self._rows.values())

    @property
    def spent(self) -> float:
        """Seconds of all steps so far, those before an interruption too."""
        return sum(row.seconds for row in self._rows.values())

    def step(self, row: TrialRow, work: Callable[[], TrialRow]) -> TrialRow:
        """The row of this job, kind, variant and sparsity with what the work found, or as it was written down."""
        key = (row.kind, row.variant, row.sparsity)
        if key not in self._rows:
            start = time.monotonic()
            done = replace(work(), seconds=time.monotonic() - start)
            self._table.save(done)
            self._rows[key] = done
        return self._rows[key]

    def note(self, row: TrialRow) -> TrialRow:
        """Write a row down as it is, in place of what was."""
        self._table.save(row)
        self._rows[row.kind, row.variant, row.sparsity] = row
        return row

    def begun(self, kind: Kind, variant: str, sparsity: float) -> TrialRow:
        """An empty row of this job."""
        return TrialRow(self._job, kind, variant, sparsity, 0)

    def affords(self, kind: Kind, variant: str, sparsity: float, reserve: float = 0.0) -> bool:
        """Whether the budget lasts for this step, which may cost as much as the dearest of its kind, and the reserve.

        What is written down costs nothing, so that an interrupted search decides as it did before.
        """
        known = (kind, variant, sparsity) in self._rows
        return known or self.spent + self.dearest(kind) + reserve <= self._budget

    def dearest(self, kind: Kind) -> float:
        """Seconds of the dearest step of this kind; 0 before the first."""
        return max((row.seconds for row in self._rows.values() if row.kind == kind), default=0.0)
