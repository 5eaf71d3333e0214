"""A candidate beside a result that was blessed, as both are stored: only what both were asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.records import DIGEST, Answer, Item, Measurement, Run, Scale
from harness.verdicts.compare import Comparison, compare
from suites import Case, Suite

SIZE = "size."
"""The one meter whose readings say nothing of the machine and its moment."""


@dataclass(frozen=True)
class Beside:
    """A stored result and one candidate."""

    name: str
    """As a gate names it, such as "baseline:prod"."""
    run: str
    comparison: Comparison
    left_out: dict[str, int]
    """Suite, or benchmark's metric -> how many of its items were asked differently then, or not at all."""

    @property
    def told(self) -> str:
        """In one line, what it is and what is left out."""
        left = "; ".join(f"{name}: {count} left out" for name, count in self.left_out.items() if count)
        return f"{self.name}: run {self.run}, as stored" + (f"; changed or new since, {left}" if left else "")


def beside(name: str, stored: Run, runs: tuple[Run, Run], suites: Sequence[Suite]) -> Beside:
    """The candidate held against a stored run. runs: the original's and its own; assertions refer to the former."""
    original, after = runs
    same = {suite.name: _same_cases(suite, stored, after) for suite in suites}
    pairs = {one.metric: one for one in _pairs(stored, original, after)}
    comparison = compare(
        _narrowed(stored, same, {name: one.before for name, one in pairs.items()}),
        _narrowed(after, same, {name: one.after for name, one in pairs.items()}),
        [_only(suite, same[suite.name]) for suite in suites if same[suite.name]],
        original=_narrowed(original, same, {}),
    )
    left = {suite.name: len(suite.cases) - len(same[suite.name]) for suite in suites}
    return Beside(name, stored.id, comparison, left | {one.metric: one.left_out for one in pairs.values()})


def lasts(metric: str, scale: Scale) -> bool:
    """Whether a value stored earlier still stands beside one of today: not of the machine, nor of one original."""
    return not metric.startswith("fidelity.") and (scale != "reading" or metric.startswith(SIZE))


def _same_cases(suite: Suite, stored: Run, after: Run) -> frozenset[str]:
    """Cases that the stored model was asked as they are now.

    As often, and the same: in an unchanged suite, or where both models were sent the same text.
    """
    old, new = (
        {(one.case, one.repeat): one.prompt for one in run.answers.get(suite.name, ())} for run in (stored, after)
    )
    unchanged = stored.facts.get(f"{suite.name}: {DIGEST}") == suite.digest

    def same(case: Case) -> bool:
        asked = [(case.id, number) for number in range(case.tries)]
        return all(one in old and (unchanged or new.get(one, old[one]) == old[one]) for one in asked)

    return frozenset(case.id for case in suite.cases if same(case))


@dataclass(frozen=True)
class _Pair:
    """One measurement of both, cut to the documents that are the same question."""

    metric: str
    before: Measurement
    after: Measurement
    left_out: int


def _pairs(stored: Run, original: Run, after: Run) -> Iterator[_Pair]:
    """Of every metric that means the same whenever it was measured.

    A document that the candidate lacks and the original has is missing, not left out.
    """
    for metric, new in after.measurements.items():
        old, first = stored.measurements.get(metric), original.measurements.get(metric)
        if old is None or not lasts(metric, new.scale):
            continue
        asked = {item.id: item.hash for one in (first, new) if one for item in one.items}
        same = [item for item in old.items if asked.get(item.id) == item.hash]
        if same or metric.startswith(SIZE):
            names = {item.id for item in same}
            kept = tuple(item for item in new.items if item.id in names)
            yield _Pair(metric, _of(old, tuple(same)), _of(new, kept), len(asked) - len(same))


def _of(one: Measurement, items: tuple[Item, ...]) -> Measurement:
    return replace(one, items=items)


def _only(suite: Suite, cases: frozenset[str]) -> Suite:
    return replace(suite, cases=tuple(case for case in suite.cases if case.id in cases))


def _narrowed(run: Run, cases: dict[str, frozenset[str]], measurements: dict[str, Measurement]) -> Run:
    def kept(suite: str, answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
        return tuple(answer for answer in answers if answer.case in cases[suite])

    answers = {suite: kept(suite, said) for suite, said in run.answers.items() if cases.get(suite)}
    return replace(run, answers=answers, measurements=measurements)
