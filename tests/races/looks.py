"""Simulated gates that are looked at early: how often a verdict is wrong, and how many items it took.

Items are drawn in random order and looked at in growing looks. The gate is decided at the first look at which the
betting bounds lie on one side of the margin, at the share EARLY of alpha; a gate that is still open when all items are
seen gets the ordinary exact verdict, at the rest of alpha.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from rules import ALPHA, Truth

from harness.statistics.exact import proves
from harness.statistics.sequential import EARLY, log_wealth, look_sizes

CHUNK = 500


@dataclass(frozen=True)
class Looked:
    """What became of many gates. Rates of all of them."""

    passed: float
    regressed: float
    items: np.ndarray
    """How many items each took."""


def looked(truth: Truth, gates: int, rng: np.random.Generator) -> Looked:
    """Many gates under one truth."""
    decided, items = [], []
    for _ in range(gates // CHUNK):
        drops = rng.choice([1.0, -1.0, 0.0], (CHUNK, truth.n), p=_chances(truth))
        decision, used = _decided(drops, truth)
        decided.append(decision)
        items.append(used)
    decisions = np.concatenate(decided)
    return Looked(float(np.mean(decisions < 0)), float(np.mean(decisions > 0)), np.concatenate(items))


def _chances(truth: Truth) -> list[float]:
    loss = (truth.flips + truth.drop) / 2
    return [loss, truth.flips - loss, 1 - truth.flips]


def _decided(drops: np.ndarray, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """-1 PASS, 1 REGRESSION, 0 neither; and the items looked at."""
    shares, margin, needed = (drops + 1) / 2, (truth.margin + 1) / 2, -math.log(EARLY * ALPHA)
    sizes = np.array(look_sizes(truth.n))
    early = sizes[:-1]
    worse = log_wealth(shares, margin, truth.n, early) >= needed
    better = log_wealth(1 - shares, 1 - margin, truth.n, early) >= needed
    stopped = np.column_stack([worse | better, np.ones(len(drops), dtype=bool)]).argmax(axis=1)
    decisions = np.zeros(len(drops), dtype=int)
    for gate, look in enumerate(stopped):
        if look < early.size:
            decisions[gate] = 1 if worse[gate, look] else -1
        else:
            losses, gains = int(np.sum(drops[gate] == 1)), int(np.sum(drops[gate] == -1))
            decisions[gate] = _last(truth.n, losses, gains, truth.margin)
    return decisions, sizes[stopped]


@cache
def _last(n: int, losses: int, gains: int, margin: float) -> int:
    alpha = (1 - EARLY) * ALPHA
    if proves(n, losses, gains, margin, alpha, "worse"):
        return 1
    return -1 if proves(n, losses, gains, margin, alpha, "non-inferior") else 0
