"""Mean of items that may come in clusters, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.records import Item
from harness.statistics.paired import FloatArray, Interval

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Mean:
    """A weighted mean and how well it is known."""

    value: float
    error: float
    """Standard error; NaN with fewer than two clusters."""
    clusters: int

    def interval(self, alpha: float) -> Interval:
        """Bounds by Student's t with clusters - 1 degrees of freedom, each one-sided at alpha."""
        reach = float(special.stdtrit(max(self.clusters - 1, 1), 1 - alpha)) * self.error
        return self.value - reach, self.value + reach


def item_mean(items: Sequence[Item]) -> float:
    """The weighted mean of one model's items."""
    return math.fsum(item.value * item.weight for item in items) / math.fsum(item.weight for item in items)


def labels(clusters: tuple[str, ...]) -> Labels:
    """Number the clusters; an empty name is a cluster of its own."""
    seen: dict[str, int] = {}
    numbers = [seen.setdefault(name or f"\0{index}", len(seen)) for index, name in enumerate(clusters)]
    return np.array(numbers, dtype=np.int64)


def cluster_error(values: FloatArray, groups: Labels, weights: FloatArray | None = None) -> float:
    """Cluster-robust standard error of the weighted mean, no small-sample correction.

    Miller 2024, arXiv 2411.00640: SE^2 = sum over clusters of (sum of weighted residuals)^2 / (sum of weights)^2.
    """
    weight = np.ones_like(values) if weights is None else weights
    residual = weight * (values - np.average(values, weights=weight))
    totals = np.bincount(groups, weights=residual)
    return math.sqrt(float(np.sum(totals**2))) / float(weight.sum())


def mean(values: FloatArray, groups: Labels | None = None, weights: FloatArray | None = None) -> Mean:
    """Mean with its cluster-robust error; without groups and weights this is the ordinary t interval.

    The correction G / (G - 1) and t with G - 1 degrees of freedom are applied at every G, not only below 40:
    they vanish as G grows, and single-item clusters then give exactly the paired t.
    """
    own = np.arange(values.size) if groups is None else groups
    clusters = int(np.unique(own).size)
    value = float(np.average(values, weights=weights))
    if clusters < 2:
        return Mean(value, math.nan, clusters)
    _, compact = np.unique(own, return_inverse=True)
    error = cluster_error(values, compact, weights) * math.sqrt(clusters / (clusters - 1))
    return Mean(value, error, clusters)


def design_effect(values: FloatArray, groups: Labels) -> float:
    """How many times the clusters multiply the variance of the mean; at least 1, and 1 where nothing varies."""
    alone = mean(values).error
    return max(1.0, (mean(values, groups).error / alone) ** 2) if alone > 0 else 1.0
