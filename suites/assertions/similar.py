"""The answer means what a reference means, by embeddings of both: similar, similar:cosine, similar:dot, :euclidean."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, references
from suites.reply import Reply
from suites.vectors import cosine, distance, dot, vector

NEEDS = frozenset({"embeddings"})
EPSILON = sys.float_info.epsilon


@dataclass(frozen=True)
class Similar:
    """The cosine of the embeddings of answer and value reaches the threshold, 0.75 if none is given.

    Of a list of values one must be that near. The score is 0 to 1; a cosine below 0 counts as 0.
    """

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        references("similar", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _near("similar", self.value, self.threshold, answer)


@dataclass(frozen=True)
class SimilarCosine:
    """The same as similar."""

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        references("similar:cosine", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _near("similar:cosine", self.value, self.threshold, answer)


@dataclass(frozen=True)
class SimilarDot:
    """The same with the dot product, which is no share unless the model's vectors have length 1."""

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        references("similar:dot", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _near("similar:dot", self.value, self.threshold, answer)


@dataclass(frozen=True)
class SimilarEuclidean:
    """The distance of the embeddings is at most the threshold, 0.75 if none is given.

    The score is 1 / (1 + distance).
    """

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        references("similar:euclidean", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        limit = 0.75 if self.threshold is None else self.threshold
        given = vector(answer, answer.text)
        away = [distance(given, vector(answer, text)) for text in references("similar:euclidean", self.value)]
        reason = f"the distance is {min(away):.4f}, the rule says {limit:g} at most"
        found = [(one <= limit + EPSILON, one >= limit - EPSILON, 1 / (1 + one)) for one in away]
        return _of_several("similar:euclidean", found, reason)


def _near(type: str, value: object, threshold: float | None, answer: Reply) -> Check:
    limit = 0.75 if threshold is None else threshold
    measure = dot if type == "similar:dot" else cosine
    given = vector(answer, answer.text)
    near = [measure(given, vector(answer, text)) for text in references(type, value)]
    reason = f"the similarity is {max(near):.4f}, the rule says {limit:g} at least"
    found = [(one >= limit - EPSILON, one <= limit + EPSILON, min(max(one, 0.0), 1.0)) for one in near]
    return _of_several(type, found, reason)


def _of_several(type: str, found: Sequence[tuple[bool, bool, float]], reason: str) -> Check:
    """Return the check of one value or of several, as promptfoo has it.

    found: whether the answer is near enough, whether it is far enough for the `not-` form, and the score, by value.
    The first that is near enough gives the score, or the nearest; in the `not-` form the first that is not far enough.
    """
    passing = [score for near, _, score in found if near]
    not_far = [score for _, far, score in found if not far]
    score = passing[0] if passing else max(score for *_, score in found)
    turned = (False, 1 - not_far[0]) if not_far else (True, 1 - max(score for *_, score in found))
    return Check(type, bool(passing), score, reason, turned=turned)


TYPES: dict[str, type] = {
    "similar": Similar,
    "similar:cosine": SimilarCosine,
    "similar:dot": SimilarDot,
    "similar:euclidean": SimilarEuclidean,
}
