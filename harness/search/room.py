"""How much of the room that a gate leaves a candidate has taken, and how far from the original none would be left."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from harness.gates import Gate
from harness.stores.trials import TrialRow
from harness.verdicts.finding import limit_of

OF_THE_ORIGINAL = {"perplexity_ratio": 1.0, "top1": 1.0}
"""What fidelity says of the original itself; of everything else it is 0."""


@dataclass(frozen=True)
class Taken:
    """What one gate has seen of a candidate."""

    change: float
    """From the original towards the limit."""
    width: float
    """What the gate's bound adds to that once all items are asked."""
    room: float
    """From the original to the limit."""

    def limit(self, divergence: float) -> float:
        """The divergence at which the bound meets the limit, if what changes grows with it."""
        if self.room <= self.width:
            return 0.0
        return divergence * (self.room - self.width) / self.change if self.change > 0 else math.inf


def breaking(row: TrialRow) -> float | None:
    """Where a trial's own figures say that the first of its gates breaks, in nats a token; None: they say nothing."""
    if row.divergence is None:
        return None
    return min((taken.limit(row.divergence) for taken in _taken(row)), default=None)


def held(row: TrialRow) -> frozenset[str]:
    """Suites and benchmarks, or "fidelity", whose gates all PASSed."""
    decisions: dict[str, set[str]] = {}
    for finding in _blocking(row):
        decisions.setdefault(str(finding["gate"]["metric"]).partition(".")[0], set()).add(finding["decision"])
    return frozenset(source for source, found in decisions.items() if found == {"PASS"})


def _taken(row: TrialRow) -> Iterator[Taken]:
    for finding in _blocking(row):
        gate = Gate.model_validate(finding["gate"])
        name, limit = limit_of(gate)
        side = "high" if name in ("margin", "max", "max_ratio") else "low"
        estimate, bound = finding["estimate"], finding[side]
        if estimate is None or (bound is None and finding["of"] != "drop"):
            continue
        sign, start = (1.0 if side == "high" else -1.0), _start(finding, gate)
        yield Taken(sign * (estimate - start), _width(finding, gate, side), sign * (limit - start))


def _blocking(row: TrialRow) -> Iterator[dict[str, Any]]:
    return (finding for finding in json.loads(row.findings) if finding["severity"] == "block")


def _start(finding: dict[str, Any], gate: Gate) -> float:
    """Where the original stands on the scale of the gate's limit."""
    if finding["of"] == "value":
        known: float | None = finding["before"]
        return OF_THE_ORIGINAL.get(gate.metric.rpartition(".")[2], 0.0) if known is None else known
    return 1.0 if finding["of"] == "ratio" else 0.0


def _width(finding: dict[str, Any], gate: Gate, side: str) -> float:
    """From the estimate to its bound, were all items asked; a bound after a few of them is wider for two reasons."""
    items, estimate = finding["n"], finding["estimate"]
    total = finding["drawn_from"] or items
    flips = finding["losses"] + finding["gains"]
    if finding["of"] == "drop" and flips:
        spread = math.sqrt(max(flips / items - estimate**2, 0.0) / total)
        return NormalDist().inv_cdf(1 - gate.alpha) * spread
    bound = finding[side]
    return 0.0 if bound is None else abs(bound - estimate) * math.sqrt(items / total)
