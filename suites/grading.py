"""Grade one answer: every assertion checked, and their checks put together by promptfoo's rules."""

from __future__ import annotations

from dataclasses import dataclass, replace

from suites.assertions import Check
from suites.errors import SuiteError
from suites.schema import Asserted, Case

NOT_ANSWERED = "not answered"


@dataclass(frozen=True)
class Graded:
    """What one answer is worth."""

    passed: bool
    score: float
    """0 to 1: the weighted mean of the checks' scores."""
    checks: tuple[Check, ...] = ()
    reason: str = ""
    """Why it failed, a sentence; empty if it passed."""


def grade(case: Case, answer: str | None, original: str | None = None) -> Graded:
    """Grade an answer to a case; None, no answer, fails whatever the case asks.

    Score: sum of score times weight over sum of weights, 0 where all weights are 0, 1 without assertions. Passed: every
    check passed, or, for a case with a threshold, score at least the threshold and nothing else. `original` is what the
    original model answered. Raises SuiteError where an assertion cannot be decided.
    """
    if answer is None:
        missing = tuple(
            Check(each.type, False, 0.0, NOT_ANSWERED, each.weight, each.metric) for each in case.assertions
        )
        return Graded(False, 0.0, missing, NOT_ANSWERED)
    if not case.assertions:
        return Graded(True, 1.0)
    checks = tuple(_checked(case, each, answer, original) for each in case.assertions)
    weight = sum(check.weight for check in checks)
    score = sum(check.score * check.weight for check in checks) / weight if weight else 0.0
    if case.threshold is not None:
        passed = score >= case.threshold
        return Graded(passed, score, checks, "" if passed else f"score {score:.4g} is below {case.threshold:g}")
    failed = [check.reason for check in checks if not check.passed]
    return Graded(not failed, score, checks, "; ".join(failed))


def _checked(case: Case, asserted: Asserted, answer: str, original: str | None) -> Check:
    try:
        check = asserted.rule.check(answer, original)
    except SuiteError as error:
        raise SuiteError(f"case {case.id}: {error}") from error
    passed = check.passed or asserted.weight == 0
    return replace(check, passed=passed, weight=asserted.weight, metric=asserted.metric)
