"""Suites of which each case is asked several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suites.grading import Graded
from suites.sampling import Repeat, Sampling
from suites.schema import Case, Suite


def settled(suite: Suite, sampling: Sampling | None = None, repeat: Repeat | None = None) -> Suite:
    """Return the suite as it is asked: what its file does not say of sampling and repeats, the arguments do.

    Greedy answers are the same every time: without sampling every case is asked once, and `unrepeated` says of how many
    cases more was wanted.
    """
    drawn = suite.sampling or sampling
    if drawn is None:
        wanted = sum((case.repeat or repeat or Repeat()).n > 1 for case in suite.cases)
        once = tuple(replace(case, repeat=Repeat()) for case in suite.cases)
        return replace(suite, cases=once, unrepeated=wanted)
    cases = tuple(replace(case, repeat=case.repeat or repeat or Repeat()) for case in suite.cases)
    return replace(suite, cases=cases, sampling=drawn)


def whole(case: Case, tries: Sequence[Graded]) -> tuple[int, Graded]:
    """Return what the answers to one case come to together, and the number of the answer that stands for them.

    The case passes if as many of them pass as it asks for, all if it does not say; its score is their mean. The first
    answer that ends as the case does stands for them; one that nobody could decide leaves the case undecided.
    """
    passes = sum(each.passed for each in tries)
    least = min(case.repeat.min_pass if case.repeat else len(tries), len(tries))
    passed = passes >= least
    undecided = next((number for number, each in enumerate(tries) if not each.decided), None)
    if undecided is not None:
        return undecided, tries[undecided]
    number = next(number for number, each in enumerate(tries) if each.passed == passed)
    if len(tries) == 1:
        return number, tries[number]
    score = sum(each.score for each in tries) / len(tries)
    count = f"{passes} of {len(tries)} answers pass, {least} must; for example: "
    reason = "" if passed else count + tries[number].reason
    return number, replace(tries[number], score=score, reason=reason)


def flaky(tries: Sequence[Graded]) -> bool:
    """Return whether some of the answers to one case pass and some do not."""
    return len({each.passed for each in tries if each.decided}) > 1
