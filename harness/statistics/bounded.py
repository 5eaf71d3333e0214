"""Score test of a mean drop whose items cannot drop by more than one: Tango's test for graded scores.

A t interval of scores between 0 and 1 is far too sure when few items changed. As in Tango's test, the variance is
taken under the hypothesis instead: by the most likely distribution on the differences seen and the ends of the scale,
-1 and 1, that has the hypothetical mean (empirical likelihood, Owen 1988, Biometrika 75:237). On yes-or-no items this
is exactly Tango's statistic. Putting mass on the unseen ends of the scale is this project's extension.
Clusters divide z by the square root of their design effect (Rao and Scott 1992, Biometrics 48:577).

A design effect is estimated from the clusters seen. Where a few of many drop much more than the rest, those few may be
missed by chance, and with them the variance, so the clusters themselves are the items of a second score test. The rule
of `cluster_end` is this project's own; its numbers were chosen by simulation (docs/verdict-measured.md).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from harness.statistics.means import Labels, design_effect
from harness.statistics.paired import FloatArray, Interval, inverted

HALVINGS = 50
ENOUGH_CHANGED = 15
"""Clusters with a changed item that show well how far a cluster moves."""
FEWEST_CHANGED = 3
"""Clusters with a changed item below which nothing is known of it."""
BEYOND = 1.5
"""How many times as far as any seen a cluster may move where enough were seen to."""


def bounded_interval(drops: FloatArray, alpha: float, groups: Labels | None = None) -> Interval:
    """Bounds of the mean of `drops`, each one-sided at alpha. drops: (n,), all in [-1, 1]; at least two groups."""
    if groups is None:
        return _inverted(drops, 1.0, float(special.ndtri(1 - alpha)))
    _, own = np.unique(groups, return_inverse=True)
    sizes = np.bincount(own)
    critical = float(special.stdtrit(sizes.size - 1, 1 - alpha))
    items = _inverted(drops, 1.0, critical * math.sqrt(design_effect(drops, groups)))
    # A cluster counts by its size, so that the mean over clusters is the mean over items.
    totals = np.bincount(own, weights=drops) / sizes.mean()
    changed = np.unique(own[drops != 0]).size
    end = cluster_end(float(np.abs(totals).max()), changed, float(sizes.max() / sizes.mean()))
    clusters = _inverted(totals, end, critical)
    return min(items[0], clusters[0]), max(items[1], clusters[1])


def cluster_end(largest: float, changed: int, end: float) -> float:
    """How far a cluster may move in the score test of clusters.

    largest: the farthest that one was seen to move; changed: how many moved; end: the farthest that one can.
    """
    if changed < FEWEST_CHANGED:
        return end
    return (largest + end) / 2 if changed < ENOUGH_CHANGED else min(BEYOND * largest, end)


def _inverted(drops: FloatArray, end: float, critical: float) -> Interval:
    """Bounds of the mean of drops that lie between -end and end."""
    values, counts = np.unique(drops / end, return_counts=True)
    low, high = inverted(lambda drop: score_z(values, counts.astype(np.float64), drop), critical)
    return end * low, end * high


def score_z(values: FloatArray, counts: FloatArray, drop: float) -> float:
    """Score statistic of "the true mean drop is `drop`", for distinct values in [-1, 1] and how often each was seen."""
    n = float(counts.sum())
    excess = float(counts @ values) / n - drop
    variance = _restricted_variance(values - drop, counts / n, drop)
    if variance <= 0:
        return 0.0 if excess == 0 else math.copysign(math.inf, excess)
    return excess / math.sqrt(variance / n)


def _restricted_variance(offset: FloatArray, share: FloatArray, drop: float) -> float:
    """Variance of the most likely distribution with mean offset zero: shares become share / (1 + tilt * offset)."""
    floor, ceiling = -1.0 / (1.0 - drop), 1.0 / (1.0 + drop)
    low, high = floor, ceiling
    for _ in range(HALVINGS):
        tilt = (low + high) / 2
        if share @ (offset / (1 + tilt * offset)) > 0:
            low = tilt
        else:
            high = tilt
    tilt = (low + high) / 2
    tilted = share / (1 + tilt * offset)
    # Where the tilt stops at its limit the seen values cannot reach the mean; the end of the scale takes the rest.
    rest = max(0.0, 1.0 - float(tilted.sum()))
    end = (-1.0 if tilt > 0 else 1.0) - drop
    return float(tilted @ offset**2) + rest * end**2
