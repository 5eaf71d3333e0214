"""What is unusual in a history, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.statistics import shifts
from harness.statistics.paired import FloatArray
from harness.trends import Event, History
from reports.figures import difference, quantity

MOST_REFERENCES = 8
"""Runs whose median is the reference: the blessed one and those before it of the same model."""


def events(history: History) -> list[Event]:
    """Changes of level, outliers and drift, in the order of their first run."""
    values = np.array([point.value for point in history.points])
    if exact(history):
        found = [*_changes(history, values, shifts.steps(values)), *_exact_drift(history, values)]
    elif len(values) < shifts.FEWEST_RUNS:
        found = []
    else:
        sigma = shifts.noise(values, resolution(history))
        found = [
            *_changes(history, values, shifts.changes(values, sigma)),
            *_outliers(history, values, sigma),
            *_drift(history, values, sigma),
        ]
    return sorted(found, key=lambda event: event.index)


def exact(history: History) -> bool:
    """Whether the same model always gave the same value, and was asked twice at least."""
    pairs = [(a, b) for a, b in pairwise(history.points) if a.fingerprint == b.fingerprint]
    return bool(pairs) and all(a.value == b.value for a, b in pairs)


def resolution(history: History) -> float:
    """The smallest noise to believe in: one item of a share, else a thousandth of the value."""
    if history.unit == "share" and history.items:
        return 1 / history.items
    return 1e-3 * max(float(np.median([abs(point.value) for point in history.points])), 1e-12)


def _changes(history: History, values: FloatArray, starts: list[int]) -> Iterator[Event]:
    ends = [*starts[1:], len(values)]
    for before, start, end in zip([0, *starts], starts, ends, strict=False):
        old, new = float(np.median(values[before:start])), float(np.median(values[start:end]))
        drop = history.worsening * (old - new)
        if drop == 0:
            continue
        word = "worse" if drop > 0 else "better"
        how = f"from {quantity(old, history.unit)} to {quantity(new, history.unit)}"
        yield Event("change", start, drop > 0, end == len(values), f"{word}: the level went {how}")


def _outliers(history: History, values: FloatArray, sigma: float) -> Iterator[Event]:
    for index in map(int, np.flatnonzero(shifts.outliers(values, sigma))):
        value, usual = float(values[index]), float(np.median(values[max(0, index - 3) : index + 4]))
        what = f"{quantity(value, history.unit)} where {quantity(usual, history.unit)} is usual"
        worse = history.worsening * (usual - value) > 0
        yield Event("outlier", index, worse, index == len(values) - 1, f"outlier: {what}")


def _drift(history: History, values: FloatArray, sigma: float) -> Iterator[Event]:
    """From the blessed run on, against the level it had."""
    if history.blessed is None:
        return
    reference, runs = _reference(history, values)
    allowed = shifts.slack(sigma, history.margin, runs)
    drops = history.worsening * (reference - values[history.blessed :])
    yield from _drift_events(history, reference, drops, shifts.drifting(drops, sigma, allowed))


def _exact_drift(history: History, values: FloatArray) -> Iterator[Event]:
    """Without noise one look is enough: beyond the margin is beyond the margin."""
    if history.blessed is None or history.margin is None:
        return
    reference = float(values[history.blessed])
    drops = history.worsening * (reference - values[history.blessed :])
    yield from _drift_events(history, reference, drops, drops > history.margin)


def _drift_events(history: History, reference: float, drops: FloatArray, beyond: NDArray[np.bool_]) -> Iterator[Event]:
    """One event for each stretch of runs beyond what is allowed."""
    assert history.blessed is not None
    for index in np.flatnonzero(beyond):
        if index and beyond[index - 1]:
            continue
        until = index + int(np.argmin([*beyond[index:], False]))
        drop = difference(float(np.median(drops[index:until])), history.unit)
        sentence = f"drift: worse than baseline {history.baseline} ({quantity(reference, history.unit)}) by {drop}"
        yield Event("drift", history.blessed + int(index), True, until == len(beyond), sentence)


def _reference(history: History, values: FloatArray) -> tuple[float, int]:
    """Level of the blessed run, and the number of runs that it is known from."""
    assert history.blessed is not None
    end = history.blessed + 1
    models = [point.fingerprint for point in history.points[:end]]
    same = next((run for run in range(1, end) if models[-run - 1] != models[-1]), end)
    runs = values[end - min(same, MOST_REFERENCES) : end]
    return float(np.median(runs)), len(runs)
