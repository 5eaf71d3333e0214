"""What a search came to, from its rows alone, so that it can be told again whenever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stores import Job
from harness.stores.trials import TrialRow
from harness.verdicts.outcome import EXIT_CODES

FAILS = {"REGRESSION": "fails", "INCONCLUSIVE": "is inconclusive"}
FATES = 8
"""Variants whose fate is told in words."""


@dataclass(frozen=True)
class Account:
    """One finished search."""

    plan: str
    job: str
    rows: tuple[TrialRow, ...]
    """In the order in which they ended."""

    @property
    def winner(self) -> TrialRow | None:
        """The candidate with a PASS on what was held out; finalists are judged until there is one."""
        return next((row for row in self.of("verdict") if row.decision == "PASS"), None)

    @property
    def exit_code(self) -> int:
        """0 if a candidate passes on what was held out, 1 if it is proved that none does, 2 otherwise."""
        if self.winner is not None:
            return 0
        judged = self.of("verdict") or self._lowest()
        return 1 if judged and all(row.decision == "REGRESSION" for row in judged) else EXIT_CODES["INCONCLUSIVE"]

    def of(self, kind: str) -> list[TrialRow]:
        """The rows of one kind."""
        return [row for row in self.rows if row.kind == kind]

    def sentences(self) -> list[str]:
        """The result in words: what passes, what going further costs, and what became of the other variants."""
        winner, said = self.winner, []
        if winner is not None:
            said.append(f"{winner.variant} {winner.sparsity:g} passes on held-out cases.{self._reached(winner)}")
            said += [_further(row) for row in self._next(winner)]
        elif self.of("verdict"):
            first = self.of("verdict")[0]
            said.append(f"{first.variant} {first.sparsity:g} {FAILS[first.decision]} on held-out cases: {first.reason}")
            said += [reached.strip() for reached in [self._reached(first)] if reached]
        else:
            said.append("No candidate passed among the searched cases, so none was judged on held-out ones.")
            said += [_further(row) for row in self._lowest()]
        others = [row for row in self.of("variant") if winner is None or row.variant != winner.variant]
        said += [_fate(row) for row in others[:FATES]]
        if len(others) > FATES:
            said.append(f"The table of variants on the page has {len(others) - FATES} more.")
        return said

    def _reached(self, row: TrialRow) -> str:
        """A target beside what was expected and what was measured; empty: there was none."""
        aim = next((one for one in self.of("aim") if (one.variant, one.sparsity) == (row.variant, row.sparsity)), None)
        if aim is None:
            return ""
        metric = aim.reason.partition(":")[0]
        found = next(one for one in json.loads(row.findings) if one["gate"]["metric"] == metric)
        ends = [f"{end:.4g}" for end in (found["low"], found["high"]) if end is not None]
        between = f" ({' to '.join(ends)})" if len(set(ends)) > 1 else ""
        return f" {aim.reason}, measured {found['estimate']:.4g}{between}."

    def _next(self, winner: TrialRow) -> list[TrialRow]:
        """The nearest larger cut of the same variant that did not pass, rather by its verdict on held-out cases."""
        beyond = [
            row
            for row in self.rows
            if row.variant == winner.variant and row.sparsity > winner.sparsity and row.decision in FAILS
        ]
        return sorted(beyond, key=lambda row: (row.sparsity, row.kind != "verdict"))[:1]

    def _lowest(self) -> list[TrialRow]:
        """Of every variant the trial with the smallest cut."""
        found: dict[str, TrialRow] = {}
        for row in sorted(self.of("gates"), key=lambda row: -row.sparsity):
            found[row.variant] = row
        return list(found.values())


def accounted(job: Job, rows: Sequence[TrialRow]) -> Account:
    """Of the rows of a job."""
    return Account(job.plan_name, job.id, tuple(rows))


def _further(row: TrialRow) -> str:
    where = "held-out" if row.kind == "verdict" else "searched"
    return f"{row.variant} {row.sparsity:g} {FAILS[row.decision]} on {where} cases: {row.reason}"


def _fate(row: TrialRow) -> str:
    """What became of a variant that did not win."""
    passed = f"passed {row.sparsity:g} on searched cases" if row.sparsity else "passed nothing on searched cases"
    if row.reason and not row.sparsity:
        return f"{row.variant} was dropped: {row.reason}."
    return f"{row.variant} {passed}" + (f"; dropped: {row.reason}." if row.reason else ".")
