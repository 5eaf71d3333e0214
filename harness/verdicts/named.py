"""Metrics that a suite names itself: assertions of one name, a number for each case that has some."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.statistics.series import Series
from harness.verdicts.pairing import CasePair
from suites import Graded
from suites.grading import NOT_ANSWERED


def with_named(suite: str, pairs: Sequence[CasePair], series: Sequence[Series], asked: bool) -> list[Series]:
    """The series of a suite and after them SUITE.NAME for each name in its assertions that is none of theirs.

    series: those of `suite_series`. The number of a case is the mean score, by weight, of its assertions of that name,
    over all its answers; 0 where the candidate did not answer.
    """
    known = {one.metric for one in series}
    names = {f"{suite}.{name}": name for name in sorted({name for pair in pairs for name in pair.case.metrics})}
    return [*series, *(_named(metric, name, pairs, asked) for metric, name in names.items() if metric not in known)]


def _named(metric: str, name: str, pairs: Sequence[CasePair], asked: bool) -> Series:
    own = [pair for pair in pairs if name in pair.case.metrics]
    before = [_mean(name, pair.before_tries) if pair.counts else math.nan for pair in own]
    after = [_mean(name, pair.after_tries) if asked else math.nan for pair in own]
    return Series(
        metric=metric,
        unit="score",
        higher_is_better=True,
        scale="graded",
        ids=tuple(pair.case.id for pair in own),
        clusters=("",) * len(own),
        tags=tuple(frozenset(pair.case.tags) for pair in own),
        before=np.array(before, dtype=np.float64),
        after=np.array(after, dtype=np.float64),
        weights=np.ones(len(own)),
    )


def _mean(name: str, tries: Sequence[Graded]) -> float:
    """NaN if none of the assertions of this name could be checked."""
    found = [number for one in tries if not math.isnan(number := _score(name, one))]
    return sum(found) / len(found) if found else math.nan


def _score(name: str, graded: Graded) -> float:
    """By weight; assertions that are for information only count where there is no other."""
    if graded.reason == NOT_ANSWERED:
        return 0.0
    scores = [(check.score, check.weight) for check in graded.checks if check.metric == name and check.checked]
    weight = sum(weight for _, weight in scores)
    if weight:
        return sum(score * weight for score, weight in scores) / weight
    return sum(score for score, _ in scores) / len(scores) if scores else math.nan
