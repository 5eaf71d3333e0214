"""How far a candidate's preferences among the answers of a document have moved from the original's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import special

from harness.errors import HarnessError
from harness.records import Item, Measurement, Run
from harness.statistics.series import Series
from harness.verdicts.measured import measured_series

CHOICE_KL = "choice_kl"


def offering(before: Run, after: Run) -> list[str]:
    """One metric of each benchmark whose items keep the choices, on the original and on the candidate if it has it."""
    found: dict[str, str] = {}
    for name, measurement in sorted(before.measurements.items()):
        sides = (measurement, after.measurements.get(name, measurement))
        if all(side.items and all(item.choices for item in side.items) for side in sides):
            found.setdefault(_source(name), name)
    return list(found.values())


def choice_series(before: Measurement | None, after: Measurement | None) -> Series:
    """TASK.choice_kl: for each document KL(original || candidate) over its choices, in nats.

    The log-likelihoods of the choices, as lm-eval compares them for `acc` and so without regard to their lengths, are
    made to sum to one (softmax). A document that the candidate lacks has no value.
    """
    series = measured_series(before, after).answered_before()
    old = {item.id: item for item in before.items} if before else {}
    new = {item.id: item for item in after.items} if after else {}
    moved = [_divergence(series.metric, old.get(name), new.get(name)) for name in series.ids]
    return replace(
        series,
        metric=f"{_source(series.metric)}.{CHOICE_KL}",
        unit="nats",
        higher_is_better=False,
        scale="graded",
        paired=False,
        before=np.full(len(moved), math.nan),
        after=np.array(moved, dtype=np.float64),
        before_value=math.nan,
        after_value=float(np.average(moved, weights=series.weights)) if moved else math.nan,
        unanswered=0,
    )


def _divergence(metric: str, before: Item | None, after: Item | None) -> float:
    if before is None or after is None:
        return math.nan
    if len(before.choices) != len(after.choices):
        raise HarnessError(
            f"{metric}: item {before.id} had {len(before.choices)} choices before and {len(after.choices)} after; "
            "run both again"
        )
    with np.errstate(invalid="ignore"):
        old, new = special.log_softmax(before.choices), special.log_softmax(after.choices)
    # A choice that is impossible before adds nothing, whatever it is after. Below zero is rounding; NaN stays NaN.
    possible = old != -math.inf
    return float(np.clip(np.sum(np.exp(old[possible]) * (old - new)[possible]), 0.0, None))


def _source(metric: str) -> str:
    return metric.rpartition(".")[0]
