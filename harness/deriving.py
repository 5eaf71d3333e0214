"""Comparison -> rows for analysts. Made when a candidate is judged, and made again whenever it is judged again."""

from __future__ import annotations

from collections.abc import Iterator

from harness.statistics.delta import Delta
from harness.stores.derived import CheckRow, DeltaRow, Derived, FlipRow, GradeRow
from harness.verdicts.compare import Comparison
from harness.verdicts.pairing import CasePair
from suites import Graded


def derived(comparison: Comparison, before_run: str, after_run: str) -> Derived:
    """The numbers, flips, checks and grades of one comparison."""
    series = comparison.series
    marks = [
        (run, pair, graded, tries)
        for pair in comparison.cases
        for run, graded, tries in (
            (before_run, pair.before_graded, pair.before_tries),
            (after_run, pair.after_graded, pair.after_tries),
        )
        if graded
    ]
    return Derived(
        tuple(_delta(delta, series[name].higher_is_better) for name, delta in comparison.deltas.items()),
        tuple(FlipRow(flip.metric, flip.id, flip.kind) for flip in comparison.flips),
        tuple(row for run, pair, graded, _ in marks for row in _checks(run, pair, graded)),
        tuple(
            GradeRow(
                run,
                pair.suite,
                pair.case.id,
                graded.passed,
                graded.score,
                tries=len(tries),
                passes=sum(each.passed for each in tries),
            )
            for run, pair, graded, tries in marks
            if graded.decided
        ),
    )


def _delta(delta: Delta, higher_is_better: bool) -> DeltaRow:
    bounds = (delta.low, delta.high) if delta.of == "drop" else (None, None)
    return DeltaRow(
        delta.metric,
        delta.unit,
        higher_is_better,
        delta.before,
        delta.after,
        delta.drop,
        *bounds,
        delta.n,
        delta.losses,
        delta.gains,
    )


def _checks(run: str, pair: CasePair, graded: Graded) -> Iterator[CheckRow]:
    for position, check in enumerate(graded.checks):
        yield CheckRow(run, pair.suite, pair.case.id, position, check.type, check.passed, check.score, check.reason)
