"""Grade one answer: every assertion checked, and their checks put together by promptfoo's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suites.assertions import Check
from suites.combining import Asserted, combined, flat
from suites.errors import SuiteError
from suites.reply import Reply
from suites.schema import Case

NOT_ANSWERED = "not answered"


@dataclass(frozen=True)
class Graded:
    """What one answer is worth."""

    passed: bool
    score: float
    """0 to 1: the weighted mean of the checks' scores."""
    checks: tuple[Check, ...] = ()
    """Those inside a set come after the set."""
    reason: str = ""
    """Why it failed, a sentence; empty if it passed."""

    @property
    def decided(self) -> bool:
        """False: an assertion that counts got no advice, so that passed and score say nothing."""
        return not any(check.undecided and check.weight > 0 for check in self.checks)


def grade(case: Case, answer: Reply | str | None, original: Reply | str | None = None) -> Graded:
    """Grade an answer to a case; None, no answer, fails whatever the case asks.

    `original` is what the original model answered; assertions that ask for it are not checked without it. The original
    itself is graded with its own answer as both. Raises SuiteError where an assertion cannot be decided.
    """
    if answer is None:
        missing = tuple(
            Check(each.type, False, 0.0, NOT_ANSWERED, each.weight, each.metric) for each in case.assertions
        )
        return Graded(False, 0.0, missing, NOT_ANSWERED)
    said, said_before = _reply(case, answer), None if original is None else _reply(case, original)
    if any("graded" in each.rule.needs for each in case.assertions):
        alone = [each for each in case.assertions if "graded" not in each.rule.needs]
        said = replace(said, graded=_graded(case, alone, said, said_before))
        if said_before is not None:
            said_before = replace(said_before, graded=_graded(case, alone, said_before, said_before))
    return _graded(case, case.assertions, said, said_before)


def _reply(case: Case, answer: Reply | str) -> Reply:
    """Return the answer with what was asked, unless it says so itself."""
    said = Reply(answer) if isinstance(answer, str) else answer
    last = case.messages[-1]["content"] if case.messages else ""
    return replace(said, prompt=said.prompt or last, vars=said.vars or case.vars)


def _graded(case: Case, assertions: Sequence[Asserted], answer: Reply, original: Reply | None) -> Graded:
    try:
        checks = [each.check(answer, original) for each in assertions]
    except SuiteError as error:
        raise SuiteError(f"case {case.id}: {error}") from error
    whole = combined(checks, case.threshold)
    return Graded(whole.passed, whole.score, flat(checks), whole.reason)
