"""What two runs mean side by side: every metric with its drop, every case, every flip. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.drawing import drawn_series, drawn_suite
from harness.records import CUT, Answer, ModelSpec, Run
from harness.statistics.delta import Delta, drop_of, value_of
from harness.statistics.series import Series
from harness.verdicts.choices import choice_series, offering
from harness.verdicts.named import with_named
from harness.verdicts.pairing import CasePair, case_pairs, suite_series
from suites.advice import KINDS
from suites.grading import Graded
from suites.schema import Suite

ERRS = "such grading has errors of its own, so read its reasons before believing a small change"

__all__ = ["CasePair", "Comparison", "Delta", "Flip", "Series", "compare"]


@dataclass(frozen=True)
class Flip:
    """An item that passes on one side only."""

    metric: str
    """For example "smoke.pass_rate", "arc_easy.acc"."""
    id: str
    kind: Literal["loss", "gain"]
    before: str
    """The answer to a suite's case; the value of a benchmark's item."""
    after: str
    """The same; empty if the candidate did not answer."""
    before_graded: Graded | None = None
    """With the checks and their reasons; None for a benchmark's item."""
    after_graded: Graded | None = None


@dataclass(frozen=True)
class Comparison:
    """The original, or a result that was blessed, and one candidate, metric by metric and case by case."""

    original: ModelSpec
    candidate: ModelSpec
    series: dict[str, Series]
    """Metric name -> both models item by item."""
    deltas: dict[str, Delta]
    """Metric name -> its drop, or its own value where the original has none. Bounds are one-sided at 0.05."""
    cases: tuple[CasePair, ...]
    """Every case of every suite."""
    flips: tuple[Flip, ...]
    """Of suites and yes-or-no benchmarks, losses first."""
    notes: tuple[str, ...] = ()
    """Who graded besides the rules of a suite, of how many cases nobody could say, and what could not be measured."""


def compare(
    before: Run, after: Run, suites: Sequence[Suite], in_looks: bool = False, original: Run | None = None
) -> Comparison:
    """Pair two runs. suites: those that the answers belong to.

    in_looks: the items were drawn, and those that were not asked are not missing. original: whose answers assertions
    may refer to; None: `before` is the original's.
    Raises HarnessError if an item was not the same question for both models.
    """
    cases: list[CasePair] = []
    series: list[Series] = []
    for suite in suites:
        pairs = case_pairs(suite, before, after, original)
        asked = suite.name in after.answers
        of_suite = with_named(suite.name, pairs, suite_series(suite.name, pairs, asked), asked)
        if in_looks:
            pairs, of_suite = drawn_suite(suite.name, pairs)
        cases += pairs
        series += of_suite
    metrics = sorted(before.measurements.keys() | after.measurements.keys())
    measured = [drawn_series(name, before, after) for name in metrics]
    flips = [*_case_flips(cases), *(flip for one in measured for flip in _item_flips(one))]
    choices = [drawn_series(name, before, after, choice_series) for name in offering(before, after)]
    everything = [*series, *measured, *choices]
    return Comparison(
        original=before.model,
        candidate=after.model,
        series={one.metric: one for one in everything},
        deltas={one.metric: _delta(one) for one in everything},
        cases=tuple(cases),
        flips=tuple(sorted(flips, key=lambda flip: flip.kind == "gain")),
        notes=(*_advisers(after, cases), *_unanswered(before, after), *_cut(before, after), *_unmeasured(after)),
    )


def _advisers(after: Run, cases: Sequence[CasePair]) -> Iterator[str]:
    """A line for each suite that somebody was asked about."""
    for suite in after.answers:
        asked = [f"{kind} {after.facts[key]}" for kind in KINDS if (key := f"{suite}: {kind}") in after.facts]
        if asked:
            undecided = sum(
                pair.suite == suite and pair.before_graded is not None and not pair.counts for pair in cases
            )
            yield f"{suite}: {'; '.join(asked)}; {ERRS}; cases left out because of it: {undecided}"


def _unanswered(before: Run, after: Run) -> Iterator[str]:
    """A line for each suite and model that did not answer something, with the first reason."""
    for who, run in (("the original", before), ("the candidate", after)):
        for suite, answers in run.answers.items():
            silent = [answer for answer in answers if answer.text is None]
            if silent:
                why = f"the first, {silent[0].case}: {silent[0].error}"
                yield f"{suite}: {len(silent)} of {len(answers)} prompts not answered by {who}; {why}"


def _cut(before: Run, after: Run) -> Iterator[str]:
    """A line for each benchmark of which something did not fit, and whose context it was."""
    old, new = ({name: why for name, why in run.facts.items() if name.endswith(f": {CUT}")} for run in (before, after))
    for name in sorted(old.keys() | new.keys()):
        task = name.removesuffix(f": {CUT}")
        if old.get(name) == new.get(name):
            yield f"{task}: {new[name]}, for both models"
        else:
            sides = (("the original", old), ("the candidate", new))
            yield from (f"{task}: {facts[name]}, for {who}" for who, facts in sides if name in facts)


def _unmeasured(after: Run) -> Iterator[str]:
    return (f"{name}: {why}" for name, why in after.facts.items() if name.endswith("not measured"))


def _delta(series: Series) -> Delta:
    own_value = series.summary == "losses" or not series.paired
    delta = value_of(series) if own_value else drop_of(series)
    # Where to stop was chosen by these very items; bounds for a number fixed beforehand would be too narrow.
    return replace(delta, low=None, high=None, detectable=None, drawn_from=series.total) if series.unasked else delta


def _case_flips(cases: Sequence[CasePair]) -> Iterator[Flip]:
    for pair in cases:
        if pair.kind == "loss" or pair.kind == "gain":
            before, after = _text(pair.before), _text(pair.after)
            metric = f"{pair.suite}.pass_rate"
            yield Flip(metric, pair.case.id, pair.kind, before, after, pair.before_graded, pair.after_graded)


def _text(answer: Answer | None) -> str:
    return (answer.text if answer else None) or ""


def _item_flips(series: Series) -> Iterator[Flip]:
    if series.scale != "binary":
        return
    drops = series.drops
    for index in np.flatnonzero(np.isfinite(drops) & (drops != 0)):
        before, after = (f"{side[index]:g}" for side in (series.before, series.after))
        yield Flip(series.metric, series.ids[index], "loss" if drops[index] > 0 else "gain", before, after)
