"""Rules that decide a margin gate on yes-or-no items: this project's and those in common use, and their exact rates.

A rule says whether a table proves that the drop is below the margin (PASS) or above it (REGRESSION). Given the number
of flips every rule is a limit on the losses, so its probabilities are exact sums and no chance is involved.
Rules that look at both models' rates need one: the original is right on RIGHT_BEFORE of the items.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from harness.statistics.exact import proving_losses, proving_probability
from harness.statistics.paired import Table, newcombe_interval, tango_p

ALPHA = 0.05
Z = float(special.ndtri(1 - ALPHA))
RIGHT_BEFORE = 0.7
MOST_FLIPS = 0.2
"""The largest share of flips that is looked at."""

Rule = Callable[[Table, float, int], bool]
"""(table, margin, sign): is the drop proved to be below the margin (sign -1) or above it (sign 1)?"""


def by_point(table: Table, margin: float, sign: int) -> bool:
    return sign * (table.drop - margin) > 0


def by_unpaired_z(table: Table, margin: float, sign: int) -> bool:
    """What lm-eval's model comparator computes: both standard errors added, as if each model saw items of its own."""
    before = (table.n11 + table.n10) / table.n
    after = before - table.drop
    error = math.sqrt((before * (1 - before) + after * (1 - after)) / table.n)
    return sign * (table.drop - margin) > Z * error


def by_paired_t(table: Table, margin: float, sign: int) -> bool:
    variance = max(table.discordant / table.n - table.drop**2, 0.0) / (table.n - 1)
    return sign * (table.drop - margin) > float(special.stdtrit(table.n - 1, 1 - ALPHA)) * math.sqrt(variance)


def by_newcombe(table: Table, margin: float, sign: int) -> bool:
    low, high = newcombe_interval(table, ALPHA)
    return low > margin if sign > 0 else high < margin


def by_tango(table: Table, margin: float, sign: int) -> bool:
    p = tango_p(table, margin)
    return (1 - p if sign > 0 else p) <= ALPHA


PEERS: dict[str, Rule] = {
    "point estimate": by_point,
    "unpaired z": by_unpaired_z,
    "paired t": by_paired_t,
    "Newcombe": by_newcombe,
    "plain Tango": by_tango,
}
NAMES = (*PEERS, "secateur")


@dataclass(frozen=True)
class Truth:
    """What is true of the models, and the gate that judges them. Shares of the items."""

    n: int
    flips: float
    drop: float
    margin: float


def rate(name: str, truth: Truth, claim: str) -> float:
    """Exact probability that a rule makes the claim, "non-inferior" or "worse"."""
    limit = limits(name, truth.n, truth.margin, claim)
    return proving_probability(truth.n, truth.flips, truth.drop, limit, claim)


@cache
def limits(name: str, n: int, margin: float, claim: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of flips, and for each the most losses that PASS or the fewest that are a REGRESSION."""
    spread = 7 * math.sqrt(MOST_FLIPS * (1 - MOST_FLIPS) * n)
    flips = np.arange(min(n, math.ceil(MOST_FLIPS * n + spread)) + 1)
    if name == "secateur":
        return flips, proving_losses(n, flips, margin, ALPHA, claim)
    sign = -1 if claim == "non-inferior" else 1
    return flips, np.array([_edge(PEERS[name], n, int(k), margin, sign) for k in flips])


def _edge(rule: Rule, n: int, flips: int, margin: float, sign: int) -> int:
    low, high = -1, flips + 1
    while high - low > 1:
        middle = (low + high) // 2
        if rule(_table(n, middle, flips), margin, sign) == (sign < 0):
            low = middle
        else:
            high = middle
    return low if sign < 0 else high


def _table(n: int, losses: int, flips: int) -> Table:
    right = max(round(RIGHT_BEFORE * n), losses)
    right = min(right, n - (flips - losses))
    return Table(right - losses, losses, flips - losses, n - right - (flips - losses))
