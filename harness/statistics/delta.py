"""How one metric differs between the two models, with its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.statistics.bounded import bounded_interval
from harness.statistics.means import Mean, mean
from harness.statistics.paired import (
    FloatArray,
    Interval,
    Table,
    clopper_pearson,
    mcnemar,
    tabulate,
    tango_interval,
)
from harness.statistics.power import detectable_drop, detectable_shift
from harness.statistics.series import Series

EXP_LIMIT = 700.0
"""exp of more than this is no longer a double."""

FLAT = 1e-12
"""A standard error below this share of the mean is rounding."""
FEWEST_EQUAL = 20
"""Units without spread that count as a measurement: did 14 % of them differ, 20 would all be equal with p < 0.05."""

Of = Literal["drop", "value", "ratio"]
"""What estimate, low and high speak of. value: the candidate's own. ratio: candidate over original."""


@dataclass(frozen=True)
class Delta:
    """None is absent, never zero. low and high are each a one-sided (1 - alpha) bound of the estimate."""

    metric: str
    unit: str
    of: Of
    before: float | None
    after: float | None
    drop: float | None
    """How much worse, in the metric's own direction."""
    estimate: float | None
    low: float | None
    """None: no bound, for want of items. low equal to high: exact."""
    high: float | None
    n: int
    clusters: int
    method: str
    """Name of the test."""
    table: Table | None = None
    """Of yes-or-no pairs."""
    p: float | None = None
    """Exact McNemar, two-sided, where there is a table."""
    detectable: float | None = None
    """Smallest true drop, or shift of the estimate, shown with 80 % power."""
    dropped: int = 0
    """Items left out because the original has no value for them, or a judge could not say."""
    unanswered: int = 0
    drawn_from: int | None = None
    """Size of the set of which these are the items asked so far; None: all of it was asked."""

    @property
    def losses(self) -> int:
        return self.table.n10 if self.table else 0

    @property
    def gains(self) -> int:
        return self.table.n01 if self.table else 0


@dataclass(frozen=True)
class _Estimate:
    """An estimate before it is dressed as a Delta."""

    of: Of
    value: float
    interval: Interval | None
    method: str
    clusters: int = 0
    table: Table | None = None
    detectable: float | None = None


def drop_of(series: Series, alpha: float = 0.05) -> Delta:
    """How much worse the candidate is."""
    pairs = series.answered_before()
    before, after = _values(pairs)
    if not series.ids:
        drop = before - after if series.higher_is_better else after - before
        return _delta(series, pairs, _without_items(series, "drop", drop))
    if not np.all(np.isfinite(pairs.after)) or not pairs.ids:
        return _delta(series, pairs, _Estimate("drop", math.nan, None, "none: values are missing"))
    unit_scale = _on_unit_scale(pairs)
    if unit_scale and np.all(np.isin(pairs.drops, (-1, 0, 1))):
        return _delta(series, pairs, _table_drop(pairs, alpha))
    known = mean(pairs.drops, pairs.groups, pairs.weights)
    method, interval = _t(known, alpha, pairs.groups is None)
    if interval and unit_scale:
        interval = _wider(interval, bounded_interval(pairs.drops, alpha, pairs.groups))
        method += " and bounded score"
    else:
        interval = _believed(interval, known)
    return _delta(series, pairs, _found("drop", known.value, interval, method, known, alpha))


def value_of(series: Series, alpha: float = 0.05) -> Delta:
    """The candidate's own value."""
    _, after = _values(series)
    if series.summary == "losses":
        return _delta(series, series.answered_before(), _count(series.answered_before()))
    if not series.ids:
        return _delta(series, series, _without_items(series, "value", after))
    if not np.all(np.isfinite(series.after)):
        return _delta(series, series, _Estimate("value", math.nan, None, "none: values are missing"))
    known = mean(series.after, series.groups, series.weights)
    method, interval = _t(known, alpha, series.groups is None)
    if series.yes_or_no:
        exact = clopper_pearson(int(series.after.sum()), len(series.ids), alpha)
        clustered = series.groups is not None
        interval = _wider(interval, exact) if clustered and interval else (None if clustered else exact)
        method = f"{method} and Clopper-Pearson" if clustered else "Clopper-Pearson"
    else:
        interval = _believed(interval, known)
    if series.summary == "exp-mean":
        interval = _exps(interval)
    return _delta(series, series, _found("value", after, interval, method, known, alpha))


def ratio_of(series: Series, limit: float, alpha: float = 0.05) -> Delta:
    """Candidate over original, with an interval made for judging it against `limit`.

    Readings, always positive, go through paired log ratios. Means of items may be zero, so there the mean of
    after - limit * before is tested against zero (Fieller 1954) and its bounds are said as ratios.
    """
    pairs = series.answered_before()
    before, after = _values(pairs)
    ratio = after / before if before > 0 else math.nan
    if not series.ids:
        return _delta(series, pairs, _without_items(series, "ratio", ratio))
    if not np.all(np.isfinite(pairs.after)) or not before > 0:
        return _delta(series, pairs, _Estimate("ratio", math.nan, None, "none: values are missing"))
    if series.scale == "reading" and np.all(pairs.before > 0) and np.all(pairs.after > 0):
        known = mean(np.log(pairs.after / pairs.before), pairs.groups, pairs.weights)
        method, interval = _t(known, alpha, pairs.groups is None)
        interval = _believed(interval, known)
        method += " of log ratios"
        return _delta(series, pairs, _found("ratio", exp_or_inf(known.value), _exps(interval), method, known, alpha))
    known = mean(pairs.after - limit * pairs.before, pairs.groups, pairs.weights)
    method, interval = _t(known, alpha, pairs.groups is None)
    interval = _believed(interval, known)
    interval = (limit + interval[0] / before, limit + interval[1] / before) if interval else None
    return _delta(series, pairs, _found("ratio", ratio, interval, f"{method} of the ratio", known, alpha))


def _table_drop(pairs: Series, alpha: float) -> _Estimate:
    """Of items that either kept their value or went all the way from 0 to 1 or back."""
    right = pairs.higher_is_better
    table = tabulate(pairs.before, pairs.after) if right else tabulate(1 - pairs.before, 1 - pairs.after)
    groups = pairs.groups
    detectable = detectable_drop(table.n, table.discordant / table.n, alpha)
    if groups is None:
        interval = tango_interval(table, alpha)
        return _Estimate("drop", table.drop, interval, "Tango score, exact p", table.n, table, detectable)
    known = mean(pairs.drops, groups)
    method, robust = _t(known, alpha, alone=False)
    method += " and Tango score, exact p"
    if robust is None:
        return _Estimate("drop", table.drop, None, method, known.clusters, table)
    interval = _wider(robust, bounded_interval(pairs.drops, alpha, groups))
    detectable = max(detectable, detectable_shift(known.error, alpha))
    return _Estimate("drop", table.drop, interval, method, known.clusters, table, detectable)


def _count(pairs: Series) -> _Estimate:
    lost = int(np.sum((pairs.before == 1) & (pairs.after == 0)))
    return _Estimate("value", lost, (lost, lost), "exact count", len(pairs.ids), tabulate(pairs.before, pairs.after))


def _without_items(series: Series, of: Of, value: float) -> _Estimate:
    """A reading without items is taken as exact; any other value without items has no known uncertainty."""
    exact = series.scale == "reading" and math.isfinite(value)
    return _Estimate(of, value, (value, value) if exact else None, "exact reading" if exact else "none: no items")


def _found(of: Of, value: float, interval: Interval | None, method: str, known: Mean, alpha: float) -> _Estimate:
    detectable = detectable_shift(known.error, alpha) if interval else None
    return _Estimate(of, value, interval, method, known.clusters, None, detectable)


def _t(known: Mean, alpha: float, alone: bool) -> tuple[str, Interval | None]:
    return "t" if alone else "cluster-robust t", known.interval(alpha) if known.clusters > 1 else None


def _believed(interval: Interval | None, known: Mean) -> Interval | None:
    """No interval where a few units are all equal: a t interval would then claim to know the mean exactly."""
    flat = known.error <= FLAT * max(1.0, abs(known.value))
    return None if flat and known.clusters < FEWEST_EQUAL else interval


def _wider(one: Interval, other: Interval) -> Interval:
    return min(one[0], other[0]), max(one[1], other[1])


def _on_unit_scale(pairs: Series) -> bool:
    both = np.concatenate([pairs.before, pairs.after])
    return bool(both.min() >= 0 and both.max() <= 1) and bool(np.all(pairs.weights == pairs.weights[0]))


def _values(series: Series) -> tuple[float, float]:
    """Value before and after: of the items where there are any, else as measured."""
    if not series.ids:
        return series.before_value, series.after_value
    return _mean(series, series.before), _mean(series, series.after)


def _mean(series: Series, items: FloatArray) -> float:
    value = float(np.average(items, weights=series.weights))
    return exp_or_inf(value) if series.summary == "exp-mean" else value


def _delta(series: Series, used: Series, found: _Estimate) -> Delta:
    before, after = _values(used) if used.ids or not series.ids else (math.nan, math.nan)
    drop = before - after if series.higher_is_better else after - before
    if series.summary == "losses":
        before, after, drop = math.nan, found.value, found.value
    low, high = found.interval or (math.nan, math.nan)
    return Delta(
        metric=series.metric,
        unit=series.unit,
        of=found.of,
        before=_known(before),
        after=_known(after),
        drop=_known(drop),
        estimate=_known(found.value),
        low=_known(low),
        high=_known(high),
        n=len(used.ids),
        clusters=found.clusters,
        method=found.method,
        table=found.table,
        p=mcnemar(found.table.n10, found.table.n01) if found.table else None,
        detectable=_known(found.detectable) if found.detectable is not None else None,
        dropped=len(series.ids) - len(used.ids),
        unanswered=series.unanswered,
    )


def exp_or_inf(value: float) -> float:
    """Infinite rather than an error where a double ends."""
    return math.exp(value) if value < EXP_LIMIT else math.inf


def _exps(interval: Interval | None) -> Interval | None:
    return (exp_or_inf(interval[0]), exp_or_inf(interval[1])) if interval else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
