"""A curve that starts at zero and only rises, through means measured at several places, and how well it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from harness.statistics.paired import FloatArray

RESAMPLES = 400
ENDS = (0.05, 0.95)
"""Each end of a band is wrong with a probability of about 5 %."""


class Band(NamedTuple):
    """A value with its ends; infinite where the curve does not reach so far."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, eq=False)
class Rising:
    """Piecewise linear in the root of its height: what a cut does to a model grows about with the square of the cut."""

    places: FloatArray
    """(k + 1,): 0, then where was measured, in rising order."""
    roots: FloatArray
    """(1 + RESAMPLES, k + 1): roots of the heights, first those of all units, then of units drawn with replacement."""

    def height(self, place: float) -> Band:
        """At one place; beyond the last as there."""
        return _band(np.array([np.interp(place, self.places, line) for line in self.roots]) ** 2)

    def reaches(self, height: float) -> Band:
        """The place where the curve first comes to this height."""
        return _band(np.array([self._reached(line, math.sqrt(max(height, 0.0))) for line in self.roots]))

    def _reached(self, line: FloatArray, root: float) -> float:
        if root > line[-1]:
            return math.inf
        after = int(np.argmax(line >= root))
        if after == 0 or line[after] == line[after - 1]:
            return float(self.places[after])
        share = (root - line[after - 1]) / (line[after] - line[after - 1])
        return float(self.places[after - 1] + share * (self.places[after] - self.places[after - 1]))


def rising(places: FloatArray, values: FloatArray, weights: FloatArray) -> Rising:
    """The curve by isotonic regression; its uncertainty by the bootstrap over units.

    places: (k,), rising and above 0. values: (units, k), each unit the same at every place. weights: (units,).
    """
    draws = np.random.default_rng(0).multinomial(len(weights), np.full(len(weights), 1 / len(weights)), RESAMPLES)
    shares = np.vstack([weights, draws * weights])
    means = shares @ values / shares.sum(axis=1, keepdims=True)
    heights = np.stack([isotonic_regression(np.maximum(line, 0.0)).x for line in means])
    zeros = np.zeros((len(heights), 1))
    return Rising(np.concatenate([[0.0], places]), np.sqrt(np.hstack([zeros, heights])))


def _band(values: FloatArray) -> Band:
    """The first value is the middle, the others say how far it may be off."""
    # The percentile of infinite values by interpolation would be NaN.
    low, high = (float(np.quantile(values[1:], share, method="nearest")) for share in ENDS)
    return Band(min(low, float(values[0])), float(values[0]), max(high, float(values[0])))
