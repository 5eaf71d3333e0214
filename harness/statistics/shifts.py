"""What a history of one number shows: its noise, its outliers, its changes of level, and slow drift from a reference.

Pure functions over arrays, one entry a run, oldest first. How often they are wrong and how soon they are right was
measured: docs/history.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.statistics.paired import FloatArray

FEWEST_RUNS = 8
"""With fewer the noise is not known."""
OUTLIER_SIGMAS = 5.0
NEIGHBOURS = 7
PENALTY = 36.0
"""Of a change point, in squared sigmas: that much better must two levels describe the history than one."""
SLACK_SIGMAS = 1.0
"""Smallest drift that is looked for."""
REFERENCE_SIGMAS = 2.0
"""How far a reference of one run is allowed to be off by chance."""
THRESHOLD_SIGMAS = 3.0
"""Sum of what is beyond the slack at which drift is believed."""
MOST_SIGMAS = 4.0
"""What one run adds at most."""


def noise(values: FloatArray, floor: float) -> float:
    """Standard deviation from run to run, by the median of the steps, which neither outliers nor a drift move much."""
    if values.size < 2:
        return floor
    return max(1.4826 * float(np.median(np.abs(np.diff(values)))) / math.sqrt(2), floor)


def outliers(values: FloatArray, sigma: float) -> NDArray[np.bool_]:
    """Runs far from the median of their neighbours."""
    return np.abs(values - _medians(values)) > OUTLIER_SIGMAS * sigma


def changes(values: FloatArray, sigma: float) -> list[int]:
    """First run of each new level; outliers are left out, and a level lasts two runs or more.

    Exact segmentation by least squares with a penalty a cut (Jackson et al. 2005, arXiv math/0309285). The library
    ruptures gives the same, which a test holds; loading it takes longer than all the rest of `trend`.
    """
    if values.size < FEWEST_RUNS:
        return []
    calm = np.where(outliers(values, sigma), _medians(values), values) / sigma
    return _cuts(calm - calm.mean(), PENALTY, 2)


def _cuts(values: FloatArray, penalty: float, shortest: int) -> list[int]:
    """First index of every segment but the first, in the partition that costs least. shortest: length of a segment."""
    sums, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (values, values**2))
    best = np.full(values.size + 1, np.inf)
    best[0] = -penalty
    came_from = np.zeros(values.size + 1, dtype=np.int64)
    for end in range(shortest, values.size + 1):
        starts = np.arange(end - shortest + 1)
        spread = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / (end - starts)
        costs = best[starts] + spread + penalty
        came_from[end] = np.argmin(costs)
        best[end] = costs[came_from[end]]
    cuts, end = [], int(came_from[-1])
    while end > 0:
        cuts.append(end)
        end = int(came_from[end])
    return cuts[::-1]


def steps(values: FloatArray) -> list[int]:
    """First run of each new level of a history without noise."""
    return [int(index) + 1 for index in np.flatnonzero(np.diff(values))]


def slack(sigma: float, margin: float | None, reference_runs: int) -> float:
    """How much worse than the reference is no drift yet: half the margin, or what the noise needs if that is more."""
    needed = SLACK_SIGMAS * sigma if margin is None else max(margin / 2, SLACK_SIGMAS * sigma)
    return needed + REFERENCE_SIGMAS * sigma / math.sqrt(reference_runs)


def drifting(drops: FloatArray, sigma: float, allowed: float) -> NDArray[np.bool_]:
    """At which runs drift is believed; drops: against the reference, positive is worse.

    One-sided cumulative sum (Page 1954, Biometrika 41:100) of drops beyond `allowed`. Ours: one run counts at most
    MOST_SIGMAS, the sum is capped so that it forgets, and two runs in a row must be beyond the threshold.
    """
    beyond = np.zeros(drops.size, dtype=bool)
    total = 0.0
    for run, excess in enumerate(np.clip((drops - allowed) / sigma, -MOST_SIGMAS, MOST_SIGMAS)):
        total = min(max(0.0, total + float(excess)), 2 * THRESHOLD_SIGMAS)
        beyond[run] = total > THRESHOLD_SIGMAS
    beyond[1:] &= beyond[:-1].copy()
    beyond[:1] = False
    return beyond


def _medians(values: FloatArray) -> FloatArray:
    """Median of each run and its nearest neighbours, fewer at the ends."""
    reach = NEIGHBOURS // 2
    padded = np.concatenate([np.full(reach, np.nan), values, np.full(reach, np.nan)])
    medians: FloatArray = np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS), axis=1)
    return medians
