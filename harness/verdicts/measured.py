"""Lay a measurement of two runs side by side, item by item: by id and hash."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from harness.errors import HarnessError
from harness.records import Item, Measurement
from harness.statistics.series import Series
from harness.verdicts.pairing import numbers

LOG_RATIOS = ".perplexity_ratio"
"""End of the metrics whose items are log-ratios and whose value is exp of their weighted mean."""


def of_candidate_alone(metric: str) -> bool:
    """Whether the original has no value: the metric holds the candidate against it, or says how that was made."""
    return metric.startswith(("fidelity.", "training.")) and not metric.endswith(".perplexity")


def measured_series(before: Measurement | None, after: Measurement | None) -> Series:
    """Pair one measurement, of which at least one side is there.

    Raises HarnessError naming the metric and the first item that was not the same question on both sides.
    """
    about = after or before
    if about is None:
        raise HarnessError("nothing to pair: the measurement is absent on both sides")
    paired = not of_candidate_alone(about.metric)
    old = {item.id: item for item in before.items} if before and paired else {}
    new = {item.id: item for item in after.items} if after else {}
    _same_questions(about.metric, old, new)
    items = list((old | new).values())
    binary = all(side.scale == "binary" for side in (before, after) if side)
    series = Series(
        metric=about.metric,
        unit=about.unit,
        higher_is_better=about.higher_is_better,
        scale="graded" if about.scale == "binary" and not binary else about.scale,
        summary="exp-mean" if about.metric.endswith(LOG_RATIOS) else "mean",
        paired=paired,
        ids=tuple(item.id for item in items),
        clusters=tuple(item.cluster for item in items),
        tags=(frozenset[str](),) * len(items),
        before=numbers([old[item.id].value if item.id in old else None for item in items]),
        after=numbers([new[item.id].value if item.id in new else None for item in items]),
        weights=np.array([item.weight for item in items]),
        before_value=before.value if before and paired else math.nan,
        after_value=after.value if after else math.nan,
    )
    return _unanswered_fails(series) if binary and new else series


def _same_questions(metric: str, before: dict[str, Item], after: dict[str, Item]) -> None:
    for name, item in before.items():
        if name in after and after[name].hash != item.hash:
            raise HarnessError(
                f"{metric}: item {name} was not the same question for both models "
                f"(hash {item.hash[:12]} before, {after[name].hash[:12]} after); run both again"
            )


def _unanswered_fails(series: Series) -> Series:
    """A yes-or-no item that the candidate did not answer is a failed one, and is counted."""
    absent = ~np.isfinite(series.after)
    failed = 0.0 if series.higher_is_better else 1.0
    return replace(series, after=np.where(absent, failed, series.after), unanswered=int(absent.sum()))
