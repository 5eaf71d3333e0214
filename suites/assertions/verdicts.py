"""What the other assertions of the case came to, held against the original: not-worse-than-original and its like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from suites.assertions import Check, found, unchecked
from suites.errors import SuiteError
from suites.reply import Reply

if TYPE_CHECKING:
    from suites.grading import Graded

NEEDS = frozenset({"graded", "original"})


@dataclass(frozen=True)
class NotWorseThanOriginal:
    """The score of the case's other assertions is not lower than the original's, or by the threshold at most."""

    threshold: float = 0.0
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise SuiteError("not-worse-than-original: the threshold, how much lower the score may be, is 0 to 1")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        after, before = _both(answer, original)
        holds = after.score >= before.score - self.threshold
        return found("not-worse-than-original", holds, f"score {after.score:.4g}, the original's {before.score:.4g}")


@dataclass(frozen=True)
class SameVerdict:
    """The case's other assertions pass, or fail, as they do for the original."""

    needs: ClassVar[frozenset[str]] = NEEDS

    def check(self, answer: Reply, original: Reply | None) -> Check:
        after, before = _both(answer, original)
        words = {True: "passes", False: "fails"}
        reason = f"the answer {words[after.passed]}, the original's {words[before.passed]}"
        return found("same-verdict", after.passed is before.passed, reason)


@dataclass(frozen=True)
class MaxScore:
    """Of this answer and the original's it has the highest score; where both have it, both pass.

    Value: method, average (if not given) or sum; weights by type, 1 for those not named; and threshold, the least
    score. What promptfoo chooses among several outputs is here chosen among two.
    """

    value: object = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        given = {} if self.value is None else self.value
        if not isinstance(given, dict) or not given.keys() <= {"method", "weights", "threshold"}:
            raise SuiteError("max-score: the value must be a mapping of method, weights and threshold")
        if given.get("method", "average") not in ("average", "sum"):
            raise SuiteError(f"max-score: unknown method {given['method']!r}; allowed: average, sum")
        weights = given.get("weights", {})
        numbers = [*weights.values(), given.get("threshold", 0)] if isinstance(weights, dict) else [None]
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise SuiteError("max-score: weights must be a mapping of type to number, and threshold a number")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        after, before = (self._score(side.checks) for side in _both(answer, original))
        if after is None or before is None:
            return unchecked("max-score", "the case has no other assertion")
        least = self.value.get("threshold") if isinstance(self.value, dict) else None
        holds = after >= before and (least is None or after >= least)
        reason = f"score {after:.4g}, the original's {before:.4g}"
        return found("max-score", holds, reason if least is None else f"{reason}, the rule says {least:g} at least")

    def _score(self, checks: Sequence[Check]) -> float | None:
        given = self.value if isinstance(self.value, dict) else {}
        weights = given.get("weights", {})
        scores = [(check.score, weights.get(check.type, 1)) for check in checks if check.checked]
        total = sum(score * weight for score, weight in scores)
        if not scores or given.get("method") == "sum":
            return total if scores else None
        weight = sum(weight for _, weight in scores)
        return total / weight if weight > 0 else 0.0


def _both(answer: Reply, original: Reply | None) -> tuple[Graded, Graded]:
    """Return what both were graded; `Asserted.check` and `grade` see to it that both are there."""
    assert answer.graded is not None
    assert original is not None
    assert original.graded is not None
    return answer.graded, original.graded


TYPES: dict[str, type] = {
    "max-score": MaxScore,
    "not-worse-than-original": NotWorseThanOriginal,
    "same-verdict": SameVerdict,
}
