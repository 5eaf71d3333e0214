"""Two models on the same yes-or-no items: score test, intervals and exact McNemar.

Everything is said in drops: drop = (losses - gains) / n = share right before - share right after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]

BISECTIONS = 50
"""Halvings of (-1, 1): a bound is then right to 2e-15, and never -1 or 1 itself, where the statistic has no value."""


@dataclass(frozen=True)
class Table:
    """Counts of pairs: right or wrong before, right or wrong after."""

    n11: int
    n10: int
    """Losses: right before, wrong after."""
    n01: int
    """Gains: wrong before, right after."""
    n00: int

    @property
    def n(self) -> int:
        return self.n11 + self.n10 + self.n01 + self.n00

    @property
    def discordant(self) -> int:
        return self.n10 + self.n01

    @property
    def drop(self) -> float:
        return (self.n10 - self.n01) / self.n


def tabulate(before: FloatArray, after: FloatArray) -> Table:
    """Count the pairs; 1 is right. Values between 0 and 1 may occur where both sides are equal, and count as n00."""
    n11 = int(np.sum((before == 1) & (after == 1)))
    n10 = int(np.sum(before - after == 1))
    n01 = int(np.sum(after - before == 1))
    return Table(n11, n10, n01, before.size - n11 - n10 - n01)


def tango_z(n: int, losses: ArrayLike, gains: ArrayLike, drop: float) -> FloatArray:
    """Score statistic of "the true drop is `drop`": large and positive if the observed drop is larger.

    Tango 1998, Statistics in Medicine 17:891, with the restricted maximum-likelihood estimate of the gain
    probability in closed form. Vectorised over tables of the same n; -1 < drop < 1.
    """
    n10 = np.asarray(losses, dtype=np.float64)
    n01 = np.asarray(gains, dtype=np.float64)
    b = (2 * n - n10 + n01) * drop - n10 - n01
    minus_c = n01 * drop * (1 - drop)
    root = np.sqrt(np.maximum(b * b + 8 * n * minus_c, 0.0))
    # The form that does not subtract two nearly equal numbers, on each side of b = 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(b > 0, 2 * minus_c / (b + root), (root - b) / (4 * n))
    variance = n * np.maximum(2 * gain + drop * (1 - drop), 0.0)
    excess = n10 - n01 - n * drop
    with np.errstate(divide="ignore", invalid="ignore"):
        z = excess / np.sqrt(variance)
    return np.where((variance <= 0) & (excess == 0), 0.0, z)


def tango_p(table: Table, margin: float) -> float:
    """One-sided asymptotic p of non-inferiority: small means that the drop is below the margin."""
    return float(special.ndtr(tango_z(table.n, table.n10, table.n01, margin)))


def tango_interval(table: Table, alpha: float) -> Interval:
    """Bounds of the drop; each is a one-sided (1 - alpha) bound, so both together cover 1 - 2 alpha."""
    critical = float(special.ndtri(1 - alpha))
    return inverted(lambda drop: float(tango_z(table.n, table.n10, table.n01, drop)), critical)


def inverted(z: Callable[[float], float], critical: float) -> Interval:
    """The drops in (-1, 1) at which |z| <= critical, for a score statistic z that falls in the drop."""
    return _crossing(z, critical), _crossing(z, -critical)


def _crossing(z: Callable[[float], float], level: float) -> float:
    low, high = -1.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if z(middle) > level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def wilson(successes: float, n: int, alpha: float) -> Interval:
    """Wilson's score interval of a share; each bound is one-sided at alpha."""
    z = float(special.ndtri(1 - alpha))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def clopper_pearson(successes: int, n: int, alpha: float) -> Interval:
    """Exact interval of a share; each bound is wrong with probability at most alpha."""
    low = float(special.betaincinv(successes, n - successes + 1, alpha)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, n - successes, 1 - alpha)) if successes < n else 1.0
    return low, high


def newcombe_interval(table: Table, alpha: float) -> Interval:
    """Newcombe 1998, Statistics in Medicine 17:2635, method 10, of the drop: for display, not for decisions."""
    n, right_before, right_after = table.n, table.n11 + table.n10, table.n11 + table.n01
    before, after = right_before / n, right_after / n
    low_before, high_before = wilson(right_before, n, alpha)
    low_after, high_after = wilson(right_after, n, alpha)
    phi = _phi(table)

    def half(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y))

    below = half(before - low_before, high_after - after)
    above = half(high_before - before, after - low_after)
    return table.drop - below, table.drop + above


def _phi(table: Table) -> float:
    """Correlation of the two results, continuity-corrected as Newcombe's method 10 asks."""
    right_before, right_after = table.n11 + table.n10, table.n11 + table.n01
    margins = right_before * right_after * (table.n - right_before) * (table.n - right_after)
    if margins == 0:
        return 0.0
    covariance = float(table.n11 * table.n00 - table.n10 * table.n01)
    if covariance > 0:
        covariance = max(covariance - table.n / 2, 0.0)
    return covariance / math.sqrt(margins)


def mcnemar(losses: int, gains: int, form: Literal["two-sided", "mid-p", "worse"] = "two-sided") -> float:
    """Exact McNemar p-value: flips are equally often losses and gains. "worse" is one-sided: too many losses."""
    flips = losses + gains
    if flips == 0:
        return 1.0
    if form == "worse":
        return float(special.bdtrc(losses - 1, flips, 0.5)) if losses else 1.0
    fewer = min(losses, gains)
    tail = float(special.bdtr(fewer, flips, 0.5))
    if form == "mid-p":
        return min(1.0, tail + float(special.bdtr(fewer - 1, flips, 0.5)) if fewer else tail)
    return min(1.0, 2 * tail)
