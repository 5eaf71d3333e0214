"""Exact unconditional p-values of a paired drop against a margin.

Tango's statistic orders the tables. The nuisance parameter, the share of discordant pairs, is maximised over a
confidence set of level 1 - GAMMA, and GAMMA is added to the p-value (Berger and Boos 1994, JASA 89:1012); the test
is therefore valid at every discordance. Given k discordant pairs the losses are binomial, so the probability of all
tables at least as extreme is one sum over k instead of a double sum:

    P = sum over k of Binomial(k; n, psi) * P(losses in the extreme set | k),   losses | k ~ Binomial(k, (1 + m/psi)/2)

Only the k between two binomial quantiles are summed, and of those only terms above TAIL / (number of k). The
probability left out is at most 3 * TAIL and is added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.statistics.paired import FloatArray, tango_z

IntArray = NDArray[np.int64]
Claim = Literal["non-inferior", "worse"]
"""non-inferior: the drop is below the margin. worse: the drop is above it."""

GAMMA = 1e-6
TAIL = 1e-9
STEP = 0.2
"""Grid step of the discordance, in standard deviations of its estimate."""
TIE = 1e-9


def exact_p(n: int, losses: int, gains: int, margin: float, claim: Claim) -> float:
    """Largest probability, at a true drop equal to the margin, of a table at least as much for the claim.

    0 < margin < 1. Both claims are tested against the same boundary, drop = margin.
    """
    low, high = _discordances(n, losses + gains, margin)
    if low > high:
        return GAMMA
    k = _window(n, low, high)
    observed = float(tango_z(n, losses, gains, margin))
    edges = _edges(n, k, margin, observed, claim)

    def probability(root: FloatArray) -> FloatArray:
        psi = np.minimum(margin + root**2, 1.0)
        return _probability(n, psi, np.minimum((1 + margin / psi) / 2, 1.0), (k, edges), claim)

    worst = _maximum(probability, math.sqrt(low - margin), math.sqrt(high - margin), STEP / (2 * math.sqrt(n)))
    return min(1.0, worst + GAMMA + 3 * TAIL)


def proves(n: int, losses: int, gains: int, margin: float, alpha: float, claim: Claim) -> bool:
    """Whether the table proves the claim, by Tango's p-value and by the exact one: the first alone can exceed alpha."""
    z = float(tango_z(n, losses, gains, margin))
    asymptotic = special.ndtr(z if claim == "non-inferior" else -z)
    return bool(asymptotic <= alpha) and exact_p(n, losses, gains, margin, claim) <= alpha


def proving_losses(n: int, flips: IntArray, margin: float, alpha: float, claim: Claim) -> IntArray:
    """For each number of flips the most losses that prove non-inferiority, or the fewest that prove the opposite.

    -1 or flips + 1 where none does.
    """
    critical = float(special.ndtri(alpha if claim == "non-inferior" else 1 - alpha))
    edges = _edges(n, flips, margin, critical, claim)
    inward = -1 if claim == "non-inferior" else 1
    for index, k in enumerate(flips):
        while 0 <= edges[index] <= k and not proves(n, edges[index], k - edges[index], margin, alpha, claim):
            edges[index] += inward
    return edges


def proving_probability(n: int, psi: float, drop: float, rule: tuple[IntArray, IntArray], claim: Claim) -> float:
    """Probability that a table of discordance psi and true drop `drop` is in a rule (flips, edges): exact."""
    loss = (1 + drop / psi) / 2
    return float(_probability(n, np.array([psi]), np.array([loss]), rule, claim)[0])


def _discordances(n: int, flips: int, margin: float) -> tuple[float, float]:
    """Clopper-Pearson limits of the discordance at level 1 - GAMMA, cut to where a drop of `margin` is possible."""
    low = float(special.betaincinv(flips, n - flips + 1, GAMMA / 2)) if flips else 0.0
    high = float(special.betaincinv(flips + 1, n - flips, 1 - GAMMA / 2)) if flips < n else 1.0
    return max(low, margin), high


def _window(n: int, low: float, high: float) -> IntArray:
    """All k but those below the TAIL quantile at the lowest discordance or above it at the highest."""
    k = np.arange(n + 1)
    first = int(np.searchsorted(special.bdtr(k, n, low), TAIL))
    last = int(np.searchsorted(-special.bdtrc(k, n, high), -TAIL))
    return k[first : last + 1]


def _edges(n: int, k: IntArray, margin: float, observed: float, claim: Claim) -> IntArray:
    """For every k the most losses (non-inferior) or the fewest (worse) still as extreme as observed.

    Tango's statistic rises with the losses at given k, so the extreme set is all losses up to, or from, the edge.
    -1 or k + 1 where no table of this k is extreme.
    """
    low, high = np.full(k.size, -1), k + 1
    tie = TIE if claim == "non-inferior" else -TIE
    while np.any(high - low > 1):
        middle = (low + high) // 2
        tried = np.clip(middle, 0, k)
        below = tango_z(n, tried, k - tried, margin) <= observed + tie
        open_ = high - low > 1
        low = np.where(open_ & below, middle, low)
        high = np.where(open_ & ~below, middle, high)
    return low if claim == "non-inferior" else high


def _probability(
    n: int, psi: FloatArray, loss: FloatArray, rule: tuple[IntArray, IntArray], claim: Claim
) -> FloatArray:
    """Probability of a set of tables. psi: (points,) discordances, loss: (points,) P(loss | discordant)."""
    k, edges = rule
    psi, loss = psi[:, None], loss[:, None]
    log_choose = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    weight = np.exp(log_choose + special.xlogy(k, psi) + special.xlog1py(n - k, -psi))
    point, column = np.nonzero(weight > TAIL / k.size)
    flips, edge, chance = k[column], edges[column], loss[point, 0]
    if claim == "non-inferior":
        extreme = np.where(edge < 0, 0.0, special.bdtr(np.maximum(edge, 0), flips, chance))
    else:
        extreme = np.where(edge <= 0, 1.0, special.bdtrc(np.clip(edge - 1, 0, flips), flips, chance))
    total = np.zeros(psi.shape[0])
    np.add.at(total, point, weight[point, column] * extreme)
    return total


def _maximum(curve: Callable[[FloatArray], FloatArray], low: float, high: float, step: float) -> float:
    """Maximum of a smooth curve: a grid of `step`, then two finer grids around its best point."""
    best = 0.0
    for _ in range(3):
        points = np.linspace(low, high, max(3, math.ceil((high - low) / step) + 1))
        heights = curve(points)
        top = int(heights.argmax())
        best = max(best, float(heights[top]))
        low, high = points[max(top - 1, 0)], points[min(top + 1, points.size - 1)]
        step = (high - low) / 10
    return best
