"""Several assertions of one case put together by promptfoo's rules, whether they are a set or the whole case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from suites.assertions import Assertion, Check, unchecked, undecided
from suites.errors import UndecidedError
from suites.reply import Reply


@dataclass(frozen=True)
class Asserted:
    """An assertion as one case states it."""

    type: str
    """As written, with "not-" where given."""
    rule: Assertion
    weight: float = 1.0
    metric: str | None = None

    def check(self, answer: Reply, original: Reply | None) -> Check:
        """Return the check with the weight of the case; what asks for an answer that is missing is not checked."""
        if "original" in self.rule.needs and original is None:
            check = unchecked(self.type, "there is no answer of the original to compare with")
        else:
            try:
                check = self.rule.check(answer, original)
            except UndecidedError as error:
                check = undecided(self.type, error)
        # In promptfoo a weight of 0 saves a single assertion, not a set.
        passed = check.passed or (self.weight == 0 and not isinstance(self.rule, AssertSet))
        return replace(check, passed=passed, weight=self.weight, metric=self.metric)


@dataclass(frozen=True)
class Combined:
    """What checks come to together."""

    passed: bool
    score: float
    reason: str
    """Why it failed, a sentence; empty if it passed."""


@dataclass(frozen=True)
class AssertSet:
    """Assertions that count as one: all must pass, or, with a threshold, their score must reach it."""

    inside: tuple[Asserted, ...]
    threshold: float | None = None

    @property
    def needs(self) -> frozenset[str]:
        return frozenset().union(*(each.rule.needs for each in self.inside))

    def check(self, answer: Reply, original: Reply | None) -> Check:
        parts = tuple(each.check(answer, original) for each in self.inside)
        if not any(part.checked for part in parts):
            return replace(unchecked("assert-set", "none of its assertions could be"), parts=parts)
        whole = combined(parts, self.threshold)
        return Check("assert-set", whole.passed, whole.score, whole.reason or "the set holds", parts=parts)


def single(assertions: Iterable[Asserted]) -> Iterator[Asserted]:
    """Yield the assertions, those inside sets instead of the sets."""
    for each in assertions:
        yield from each.rule.inside if isinstance(each.rule, AssertSet) else (each,)


def combined(checks: Sequence[Check], threshold: float | None) -> Combined:
    """Put checks together; those that could not be decided are left out, and none at all pass with score 1.

    Score: sum of score times weight over sum of weights, 0 where all weights are 0. Passed: every check passed, or,
    with a threshold, score at least the threshold and nothing else.
    """
    counted = [check for check in checks if check.checked]
    if not counted:
        return Combined(True, 1.0, "")
    weight = sum(check.weight for check in counted)
    score = sum(check.score * check.weight for check in counted) / weight if weight else 0.0
    if threshold is not None:
        passed = score >= threshold
        return Combined(passed, score, "" if passed else f"score {score:.4g} is below {threshold:g}")
    failed = [check.reason for check in counted if not check.passed]
    return Combined(not failed, score, "; ".join(failed))


def flat(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return the checks, those inside a set after it."""
    return tuple(each for check in checks for each in (check, *check.parts))
