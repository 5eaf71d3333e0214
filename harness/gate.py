"""From a comparison to a verdict: PASS, REGRESSION or INCONCLUSIVE, each with its evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.compare import Comparison
from harness.errors import HarnessError
from harness.plan import LIMITS, Gate
from harness.reasons import bounded, counted, estimated, limited
from harness.statistics.corrections import holm
from harness.statistics.delta import Delta, drop_of, ratio_of, value_of
from harness.statistics.exact import Claim, proves
from harness.statistics.power import items_to_settle, pairs_to_settle
from harness.statistics.series import Series
from suites.document import suggestion

Decision = Literal["PASS", "REGRESSION", "INCONCLUSIVE"]

MOST_DROPPED = 0.01
"""Share of the items that the original may leave unanswered before a gate can no longer be decided."""


@dataclass(frozen=True)
class Finding:
    """One gate and what became of it."""

    gate: Gate
    decision: Decision
    reason: str
    """The numbers that decided, in one sentence that goes on after the metric's name and a colon."""
    delta: Delta
    """Of the gate's items, at the gate's alpha, on the scale of its limit."""
    severity: Literal["block", "warn"]
    items_needed: int | None = None
    """About how many items would settle an INCONCLUSIVE gate; None: no number in reach would, or it is settled."""


@dataclass(frozen=True)
class Verdict:
    """The decision on one candidate."""

    candidate: str
    decision: Decision
    findings: tuple[Finding, ...]


def judge(comparison: Comparison, gates: Sequence[Gate]) -> Verdict:
    """Apply every gate; only gates of severity "block" decide.

    Raises HarnessError if a gate can check nothing: an unknown metric, no item, nothing measured on the original.
    """
    if not any(gate.severity == "block" for gate in gates):
        found = "all gates are severity: warn" if gates else "the list of gates is empty"
        raise HarnessError(f"nothing can be decided: {found}; give at least one gate of severity: block")
    findings = _held(comparison, [_finding(comparison, gate) for gate in gates])
    decisions = {finding.decision for finding in findings if finding.severity == "block"}
    worst: Decision = "PASS"
    if "REGRESSION" in decisions:
        worst = "REGRESSION"
    elif "INCONCLUSIVE" in decisions:
        worst = "INCONCLUSIVE"
    return Verdict(comparison.candidate.name, worst, findings)


def limit_of(gate: Gate) -> tuple[str, float]:
    """Name and value of the gate's one limit."""
    return next((name, value) for name in LIMITS if (value := getattr(gate, name)) is not None)


def _finding(comparison: Comparison, gate: Gate) -> Finding:
    series = _selected(comparison, gate)
    delta = _measured(series, gate)
    decision, reason, items = _decided(gate, delta)
    return Finding(gate, decision, f"{reason}.", delta, gate.severity, items)


def _held(comparison: Comparison, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings after Holm's correction over the blocking gates that chance can break.

    Many gates are many chances of a false alarm: one that does not hold among them is INCONCLUSIVE. PASS needs no
    correction, because all gates must pass.
    """
    family = [n for n, finding in enumerate(findings) if finding.severity == "block" and _by_chance(finding.delta)]
    levels = [_alarm_level(comparison, findings[n], len(family)) for n in family]
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
        if finding.decision == "REGRESSION" and _finding(comparison, gate).decision == "REGRESSION":
            return 1 / parts
    return math.inf


def _selected(comparison: Comparison, gate: Gate) -> Series:
    """The items a gate looks at."""
    if gate.metric not in comparison.series:
        known = sorted(comparison.series)
        hint = suggestion(gate.metric, known) or ";"
        raise HarnessError(f"gate on {gate.metric!r}: no such metric was measured{hint} there are: {', '.join(known)}")
    series = comparison.series[gate.metric]
    if gate.where is None:
        return series
    chosen = series.where(gate.where.tag)
    if not chosen.ids:
        tags = sorted(set().union(*series.tags))
        hint = suggestion(gate.where.tag, tags) or ";"
        listed = f"its tags are: {', '.join(tags)}" if tags else "its items have no tags"
        raise HarnessError(f"gate on {gate.metric!r}: no item has the tag {gate.where.tag!r}{hint} {listed}")
    return chosen


def _measured(series: Series, gate: Gate) -> Delta:
    """The delta on the scale of the gate's limit."""
    name, limit = limit_of(gate)
    counts_losses = series.summary == "losses"
    if counts_losses and name != "max":
        raise HarnessError(f"gate on {gate.metric!r}: a count of losses takes max, not {name}")
    if name in ("max", "min") and not counts_losses:
        return value_of(series, gate.alpha)
    if not series.paired:
        raise HarnessError(
            f"gate on {gate.metric!r}: it is measured on the candidate alone; use max or min, not {name}"
        )
    if not _known_before(series):
        raise HarnessError(f"gate on {gate.metric!r}: the original has no value, so there is nothing to compare with")
    if counts_losses:
        return value_of(series, gate.alpha)
    if name != "margin":
        return _ratio(series, limit, gate)
    delta = drop_of(series, gate.alpha)
    if delta.table and limit >= 1:
        raise HarnessError(
            f"gate on {gate.metric!r}: margin {limit:g} is not below 1, the most a share can drop; 0.05 is 5 points"
        )
    return delta


def _known_before(series: Series) -> bool:
    return len(series.answered_before().ids) > 0 if series.ids else math.isfinite(series.before_value)


def _ratio(series: Series, limit: float, gate: Gate) -> Delta:
    delta = ratio_of(series, limit, gate.alpha)
    if delta.before is None or delta.before <= 0:
        raise HarnessError(
            f"gate on {gate.metric!r}: the original's value is {delta.before}, so a ratio has no meaning"
        )
    return delta


def _decided(gate: Gate, delta: Delta) -> tuple[Decision, str, int | None]:
    """Decision, reason, and how many items would settle it."""
    name, limit = limit_of(gate)
    if delta.estimate is None:
        return "REGRESSION", "the candidate has no value, or items without a value; missing counts as broken", None
    if delta.dropped > MOST_DROPPED * (delta.n + delta.dropped):
        lost = f"the original did not answer {delta.dropped} of {delta.n + delta.dropped} items"
        return "INCONCLUSIVE", f"{lost}, more than {100 * MOST_DROPPED:g} %", None
    said, allowed, counts = estimated(delta), limited(name, limit, delta), counted(delta)
    if delta.low is not None and delta.low == delta.high:
        inside = delta.estimate <= limit if _from_above(name) else delta.estimate >= limit
        return "PASS" if inside else "REGRESSION", f"{said}; {allowed}{counts}", None
    settled = _settled(gate, delta)
    if settled:
        side = "high" if (settled == "PASS") == _from_above(name) else "low"
        return settled, f"{said}, {bounded(delta, side, gate.alpha)}; {allowed}{counts}", None
    if delta.low is None and delta.high is None:
        lacking = "a single cluster, or a few equal items, give" if delta.n else "a value without items has"
        return "INCONCLUSIVE", f"{said}, but {lacking} no bound; {allowed}{counts}", None
    needed = _items_needed(gate, delta)
    more = f"about {needed} items would settle it" if needed else "no number of items in reach would settle it"
    return "INCONCLUSIVE", f"{said}, {bounded(delta, 'both', gate.alpha)}; {allowed}{counts}; {more}", needed


def _from_above(name: str) -> bool:
    """Whether the limit is the largest value allowed."""
    return name in ("margin", "max", "max_ratio")


def _settled(gate: Gate, delta: Delta) -> Decision | None:
    """PASS if the bound on the bad side is inside the limit, REGRESSION if the bound on the good side is outside.

    Comparisons with a bound that is None are false, so that what is not known never settles anything.
    """
    name, limit = limit_of(gate)
    low = -math.inf if delta.low is None else delta.low
    high = math.inf if delta.high is None else delta.high
    inside, outside = (high <= limit, low > limit) if _from_above(name) else (low >= limit, high < limit)
    if inside and _exactly(gate, delta, "non-inferior"):
        return "PASS"
    if outside and _exactly(gate, delta, "worse"):
        return "REGRESSION"
    return None


def _exactly(gate: Gate, delta: Delta, claim: Claim) -> bool:
    """Whether the exact test agrees, where there is one: for the margin of a table."""
    if delta.of != "drop" or delta.table is None or gate.margin is None:
        return True
    return proves(delta.n, delta.losses, delta.gains, gate.margin, gate.alpha, claim)


def _items_needed(gate: Gate, delta: Delta) -> int | None:
    """About how many items, as the ones seen, would settle the gate."""
    _, limit = limit_of(gate)
    if delta.estimate is None:
        return None
    bound = delta.high if delta.estimate < limit else delta.low
    if delta.of == "drop" and delta.table and gate.margin is not None:
        pairs = pairs_to_settle(delta.n, delta.losses, delta.gains, gate.margin, gate.alpha)
        if pairs is None or delta.clusters == delta.n:
            return pairs
        spread = items_to_settle(delta.estimate, bound, limit, delta.n) if bound is not None else None
        return max(pairs, spread) if spread else None
    return items_to_settle(delta.estimate, bound, limit, delta.n) if bound is not None else None
