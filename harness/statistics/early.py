"""A gate's bounds while its items are still being asked, in random order."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from harness.statistics.delta import Delta
from harness.statistics.paired import Interval
from harness.statistics.sequential import sequence_interval
from harness.statistics.series import Series


def stoppable(series: Series) -> bool:
    """Whether bounds that hold at every look exist: values within 0 and 1, no clusters, equal weights."""
    within = series.scale == "binary" or series.unit in ("score", "share")
    return within and series.groups is None and bool(np.all(series.weights == series.weights[:1]))


def early_bounds(series: Series, limit: tuple[str, float], delta: Delta, alpha: float) -> Delta:
    """The delta with bounds that hold at every look, or with none where there are no such or a value is missing.

    limit: name and value. A count of losses can only grow: beyond its limit it is certain.
    """
    pairs = series.answered_before()
    low, high = math.nan, math.nan
    if series.summary == "losses" and delta.estimate is not None:
        low = high = delta.estimate if delta.estimate > limit[1] else math.nan
    elif stoppable(series) and delta.estimate is not None and np.all(np.isfinite(series.after)):
        low, high = _interval(series, pairs, limit, alpha)
    return replace(
        delta,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        method="betting, valid at every look",
        detectable=None,
        drawn_from=series.total,
    )


def unseen(series: Series) -> Delta:
    """The delta before the first item was asked."""
    return Delta(
        metric=series.metric,
        unit=series.unit,
        of="drop",
        before=None,
        after=None,
        drop=None,
        estimate=None,
        low=None,
        high=None,
        n=0,
        clusters=0,
        method="none: nothing asked yet",
        drawn_from=series.total,
    )


def _interval(series: Series, pairs: Series, limit: tuple[str, float], alpha: float) -> Interval:
    name, value = limit
    total = len(pairs.ids) + len(pairs.unasked)
    if name == "margin":
        return sequence_interval(pairs.drops, alpha, total, (-1.0, 1.0))
    if name in ("max", "min"):
        return sequence_interval(series.after, alpha, series.total)
    # As in `ratio_of`: the mean of after - limit * before, and its bounds said as ratios.
    low, high = sequence_interval(pairs.after - value * pairs.before, alpha, total, (-value, 1.0))
    before = float(pairs.before.mean())
    return value + low / before, value + high / before
