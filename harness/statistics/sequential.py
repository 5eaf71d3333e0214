"""Bounds of a mean that hold at every look, however often one looks and whenever one stops.

A gambler bets, item by item, that the mean is above m. If it is not, no stake makes money on average, so with
probability 1 - alpha the wealth never in all time reaches 1 / alpha times the start (Ville); the m at which it has are
ruled out. Waudby-Smith and Ramdas 2024, JRSS B 86:1, arXiv 2010.09686: the capital process, sampling without
replacement, and the start shared out over a grid of stakes ("diversified Kelly"). Each bound is one such game.

The difference to the paper: its game without replacement is about the mean of this set of items alone, and at the last
item it knows that mean exactly, however few items there are. A verdict speaks of what the items stand for as well.
So each stake is priced by the dearer of two means: the paper's m_t = (total m - sum so far) / (items left), what the
rest of the set must average, and m itself. The wealth then grows under neither hypothesis, the set's or the source's,
and the bounds hold for both means at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from harness.statistics.paired import FloatArray, Interval

STAKES = np.arange(1, 20) / 20
"""Shares of the wealth that are staked, each with an equal part of the start; 1 would risk ruin."""
HALVINGS = 24
FIRST_LOOK = 32
GROWTH = 1.25
EARLY = 0.25
"""Share of alpha that is spent on stopping early; the rest is kept for the ordinary verdict on all items."""


def look_sizes(total: int) -> list[int]:
    """After how many items to look; the last look is at all of them."""
    sizes: list[int] = []
    size = FIRST_LOOK
    while size < total:
        sizes.append(size)
        size = math.ceil(size * GROWTH)
    return [*sizes, total]


def log_wealth(values: FloatArray, mean: float, total: int, looks: Sequence[int]) -> FloatArray:
    """Log of the wealth, at each look, of betting that the true mean is above `mean`; returns (..., looks).

    values: (..., n) between 0 and 1, drawn in random order from a set of `total`; looks: after how many of them, each
    at least 1. 0 <= mean <= 1.
    """
    before = np.cumsum(values, axis=-1) - values
    left = total - np.arange(values.shape[-1])
    price = np.maximum(mean, (total * mean - before) / left)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(values == price, 0.0, values / price - 1)
    at = np.asarray(looks) - 1
    paths = np.stack([np.cumsum(np.log1p(stake * gain), axis=-1)[..., at] for stake in STAKES])
    return np.asarray(special.logsumexp(paths, axis=0) - math.log(STAKES.size))


def sequence_interval(values: FloatArray, alpha: float, total: int, span: Interval = (0.0, 1.0)) -> Interval:
    """Bounds of the mean after the items seen so far; each is wrong at any look ever with probability alpha at most.

    values: (n,) within `span`, drawn in random order from a set of `total`.
    """
    low, high = span
    shares = np.clip((values - low) / (high - low), 0.0, 1.0)
    above, below = _lower(shares, alpha, total), _lower(1 - shares, alpha, total)
    return low + (high - low) * above, high - (high - low) * below


def _lower(shares: FloatArray, alpha: float, total: int) -> float:
    """The largest mean that is ruled out: the wealth falls as the mean rises, for each stake costs more."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if shares.size and log_wealth(shares, middle, total, [shares.size])[0] >= -math.log(alpha):
            low = middle
        else:
            high = middle
    return low
