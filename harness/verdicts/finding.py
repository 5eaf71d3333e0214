"""One gate on a comparison: PASS, REGRESSION or INCONCLUSIVE, with its evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.errors import HarnessError
from harness.gates import LIMITS, Gate
from harness.statistics.delta import Delta, drop_of, ratio_of, value_of
from harness.statistics.early import early_bounds, stoppable, unseen
from harness.statistics.exact import Claim, proves
from harness.statistics.power import items_to_settle, pairs_to_settle
from harness.statistics.sequential import EARLY, look_sizes
from harness.statistics.series import Series
from harness.verdicts.compare import Comparison
from harness.verdicts.reasons import bounded, counted, estimated, limited, why_left_out
from suites.document import suggestion

Decision = Literal["PASS", "REGRESSION", "INCONCLUSIVE"]

MOST_DROPPED = 0.01
"""Share of the items that may be left out before a gate can no longer be decided."""


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


def found(comparison: Comparison, gate: Gate) -> Finding:
    """What became of a gate: at the first look that decides it, where its items were asked a few at a time.

    Raises HarnessError if the gate can check nothing: an unknown metric, no item, nothing measured on the original.
    """
    for part, delta in _looks(comparison, gate):
        decision, reason, items = _decided(part, delta)
        if decision != "INCONCLUSIVE":
            break
    return Finding(gate, decision, f"{reason}.", delta, gate.severity, items)


def limit_of(gate: Gate) -> tuple[str, float]:
    """Name and value of the gate's one limit."""
    return next((name, value) for name in LIMITS if (value := getattr(gate, name)) is not None)


def _looks(comparison: Comparison, gate: Gate) -> Iterator[tuple[Gate, Delta]]:
    """The gate at the alpha of each look, and its delta; where nothing was looked at early there is one look.

    Looks before the last have bounds that hold at any look, at the share EARLY of alpha; the last, at all items, has
    the ordinary ones at the rest.
    """
    series = _known(comparison, gate)
    chosen = _selected(series, gate)
    if not series.unasked and not (series.in_looks and stoppable(series)):
        yield gate, _measured(chosen, gate)
        return
    early, last = (gate.model_copy(update={"alpha": share * gate.alpha}) for share in (EARLY, 1 - EARLY))
    sizes = [size for size in look_sizes(series.total) if size <= len(series.ids)]
    for size in sizes or [len(series.ids)]:
        seen = _selected(series.first(size), gate)
        if size == series.total:
            yield last, _measured(chosen, last)
        elif _says_nothing(seen, gate):
            yield early, unseen(seen)
        else:
            yield early, early_bounds(seen, limit_of(gate), _measured(seen, early), early.alpha)


def _says_nothing(seen: Series, gate: Gate) -> bool:
    """Whether too little was asked to compare anything, which later looks may mend."""
    before = seen.answered_before().before
    return before.size == 0 or (limit_of(gate)[0] in ("max_ratio", "min_ratio") and not before.any())


def _known(comparison: Comparison, gate: Gate) -> Series:
    """The metric of a gate."""
    if gate.metric not in comparison.series:
        known = sorted(comparison.series)
        hint = suggestion(gate.metric, known) or ";"
        raise HarnessError(f"gate on {gate.metric!r}: no such metric was measured{hint} there are: {', '.join(known)}")
    return comparison.series[gate.metric]


def _selected(series: Series, gate: Gate) -> Series:
    """The items a gate looks at."""
    if gate.where is None:
        return series
    chosen = series.where(gate.where.tag)
    if not chosen.total:
        tags = sorted(set().union(*series.tags, *series.unasked))
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
        raise HarnessError(
            f"gate on {gate.metric!r}: {gate.reference} has no value that counts, so there is nothing to compare with"
        )
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
            f"gate on {gate.metric!r}: the value of {gate.reference} is {delta.before}, so a ratio has no meaning"
        )
    return delta


def _decided(gate: Gate, delta: Delta) -> tuple[Decision, str, int | None]:
    """Decision, reason, and how many items would settle it."""
    name, limit = limit_of(gate)
    if delta.drawn_from and not delta.n:
        return "INCONCLUSIVE", f"too few of its {delta.drawn_from} items were asked to say anything", None
    if delta.estimate is None:
        return "REGRESSION", "the candidate has no value, or items without a value; missing counts as broken", None
    if delta.dropped > MOST_DROPPED * (delta.n + delta.dropped):
        lost = f"{delta.dropped} of {delta.n + delta.dropped} items are left out, more than {100 * MOST_DROPPED:g} %"
        return "INCONCLUSIVE", f"{lost}: {why_left_out(gate.reference)}", None
    said, allowed, counts = estimated(delta), limited(name, limit, delta), counted(delta, gate.reference)
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
    """Whether the exact test agrees, where there is one: for the margin of a table all of which was asked."""
    if delta.of != "drop" or delta.table is None or gate.margin is None or delta.drawn_from is not None:
        return True
    return proves(delta.n, delta.losses, delta.gains, gate.margin, gate.alpha, claim)


def _items_needed(gate: Gate, delta: Delta) -> int | None:
    """About how many items, as the ones seen, would settle the gate."""
    _, limit = limit_of(gate)
    if delta.estimate is None or delta.drawn_from is not None:
        return None
    bound = delta.high if delta.estimate < limit else delta.low
    if delta.of == "drop" and delta.table and gate.margin is not None:
        pairs = pairs_to_settle(delta.n, delta.losses, delta.gains, gate.margin, gate.alpha)
        if pairs is None or delta.clusters == delta.n:
            return pairs
        spread = items_to_settle(delta.estimate, bound, limit, delta.n) if bound is not None else None
        return max(pairs, spread) if spread else None
    return items_to_settle(delta.estimate, bound, limit, delta.n) if bound is not None else None
