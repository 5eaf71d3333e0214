"""From a comparison to a verdict: every gate found, and what they come to together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.errors import HarnessError
from harness.gates import Gate
from harness.records import ORIGINAL
from harness.statistics.corrections import holm
from harness.statistics.delta import Delta
from harness.verdicts.beside import Beside
from harness.verdicts.compare import CasePair, Comparison
from harness.verdicts.finding import Decision, Finding, found


@dataclass(frozen=True)
class Verdict:
    """The decision on one candidate."""

    candidate: str
    decision: Decision
    findings: tuple[Finding, ...]
    beside: tuple[Beside, ...] = ()
    """Results that were blessed, beside this candidate."""
    notes: tuple[str, ...] = ()
    """What a reader must know of how answers were graded."""
    flaky: tuple[str, ...] = ()
    """Cases some of whose answers pass and some do not, as "suite/case: 2 of 5 before, 5 of 5 after"."""
    severity: Literal["block", "warn"] = "block"
    """warn: the job's decision and exit code do not heed it."""


def judge(comparison: Comparison, gates: Sequence[Gate], others: Sequence[Beside] = ()) -> Verdict:
    """Apply every gate; only gates of severity "block" decide. others: what gates may be against besides the original.

    Raises HarnessError if a gate can check nothing: an unknown metric, no item, nothing measured on the original.
    """
    if not any(gate.severity == "block" for gate in gates):
        why = "all gates are severity: warn" if gates else "the list of gates is empty"
        raise HarnessError(f"nothing can be decided: {why}; give at least one gate of severity: block")
    sides = [_side(gate, comparison, others) for gate in gates]
    findings = _held(sides, [found(side, gate) for side, gate in zip(sides, gates, strict=True)])
    decisions = {finding.decision for finding in findings if finding.severity == "block"}
    worst: Decision = "PASS"
    if "REGRESSION" in decisions:
        worst = "REGRESSION"
    elif "INCONCLUSIVE" in decisions:
        worst = "INCONCLUSIVE"
    flaky = tuple(_flaky(pair) for pair in comparison.cases if pair.flaky)
    return Verdict(comparison.candidate.name, worst, findings, tuple(others), comparison.notes, flaky)


def _side(gate: Gate, comparison: Comparison, others: Sequence[Beside]) -> Comparison:
    """What a gate is about. Raises HarnessError if a blessed result has nothing that it looks at."""
    if gate.against == ORIGINAL:
        return comparison
    other = next((one for one in others if one.name == gate.against), None)
    if other is None:
        known = ", ".join([ORIGINAL, *(one.name for one in others)])
        raise HarnessError(f"gate on {gate.title!r}: nothing of {gate.against} is here; there is: {known}")
    if gate.metric in comparison.series and gate.metric not in other.comparison.series:
        raise HarnessError(
            f"gate on {gate.title!r}: run {other.run} has no case or document of {gate.metric} that is asked the same "
            "now, so nothing pairs; bless a newer run"
        )
    return other.comparison


def _flaky(pair: CasePair) -> str:
    sides = {"before": pair.before_tries, "after": pair.after_tries}
    counts = [f"{sum(each.passed for each in tries)} of {len(tries)} {side}" for side, tries in sides.items() if tries]
    return f"{pair.suite}/{pair.case.id}: {', '.join(counts)}"


def settled(comparison: Comparison, gates: Sequence[Gate], family: int) -> bool:
    """Whether no gate needs more items: each PASSes, or is an alarm that holds among `family` gates."""
    stricter = [gate.model_copy(update={"alpha": gate.alpha / family}) for gate in gates]
    return all(
        found(comparison, gate).decision == "PASS" or found(comparison, strict).decision == "REGRESSION"
        for gate, strict in zip(gates, stricter, strict=True)
    )


def _held(sides: Sequence[Comparison], findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings after Holm's correction over the blocking gates that chance can break.

    Many gates are many chances of a false alarm: one that does not hold among them is INCONCLUSIVE. PASS needs no
    correction, because all gates must pass.
    """
    family = [n for n, finding in enumerate(findings) if finding.severity == "block" and _by_chance(finding.delta)]
    levels = [_alarm_level(sides[n], findings[n], len(family)) for n in family]
    lost = {n for n, holds in zip(family, holm(np.array(levels), 1.0), strict=True) if not holds}
    also = f"; an alarm when taken alone, but it does not hold among {len(family)} gates that chance can break (Holm)."
    return tuple(
        replace(finding, decision="INCONCLUSIVE", reason=finding.reason[:-1] + also)
        if n in lost and finding.decision == "REGRESSION"
        else finding
        for n, finding in enumerate(findings)
    )


def _by_chance(delta: Delta) -> bool:
    """Whether another sample of items could have said something else: not of exact values, and not of missing ones."""
    return delta.estimate is not None and (delta.low is None or delta.low != delta.high)


def _alarm_level(comparison: Comparison, finding: Finding, gates: int) -> float:
    """The p-value of an alarm in alphas, rounded up to 1, 1/2, ... 1/gates, the levels that Holm asks for."""
    for parts in range(gates, 0, -1):
        gate = finding.gate.model_copy(update={"alpha": finding.gate.alpha / parts})
        if finding.decision == "REGRESSION" and found(comparison, gate).decision == "REGRESSION":
            return 1 / parts
    return math.inf
