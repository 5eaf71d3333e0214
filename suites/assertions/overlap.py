"""Words that the answer shares with a text: rouge-n, bleu, gleu."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, graded_check, references
from suites.errors import SuiteError
from suites.reply import Reply
from suites.words import tokens, words

SMALLEST = 1e-7
"""Stands for a precision of 0, whose logarithm has no value."""
ORDERS = (1, 2, 3, 4)

Grams = Counter[tuple[str, ...]]


@dataclass(frozen=True)
class RougeN:
    """ROUGE-1 (Lin 2004): F1 of the words shared, in lower case, each counted as often as both have it."""

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            raise SuiteError("rouge-n: the value must be text")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return graded_check("rouge-n", rouge(answer.text, str(self.value)), self.threshold, 0.75)


@dataclass(frozen=True)
class Bleu:
    """BLEU (Papineni et al. 2002) over 1 to 4 words, of one sentence.

    Orders longer than the answer are left out, and a precision of 0 counts as 1e-7. Of several references the one with
    most in common counts for each order.
    """

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        references("bleu", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return graded_check("bleu", _bleu(answer.text, references("bleu", self.value)), self.threshold, 0.5)


@dataclass(frozen=True)
class Gleu:
    """GLEU (Wu et al. 2016, arXiv 1609.08144, section 4): the lesser of precision and recall over 1 to 4 words.

    Full stops at the ends of words are left out; the best of several references counts.
    """

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        references("gleu", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        score = max(_gleu(answer.text, reference) for reference in references("gleu", self.value))
        return graded_check("gleu", score, self.threshold, 0.5)


def rouge(answer: str, reference: str) -> float:
    """Return the F1 of the words two texts share."""
    ours, theirs = _grams(tokens(answer.lower()), 1), _grams(tokens(reference.lower()), 1)
    shared = (ours & theirs).total()
    return 2 * shared / (ours.total() + theirs.total()) if shared else 0.0


def _bleu(answer: str, references: Sequence[str]) -> float:
    ours, theirs = words(answer.lower()), [words(reference.lower()) for reference in references]
    if not ours:
        return 0.0
    logs = []
    for order in (order for order in ORDERS if order <= len(ours)):
        grams = _grams(ours, order)
        shared = max((grams & _grams(reference, order)).total() for reference in theirs)
        logs.append(math.log(shared / grams.total() or SMALLEST))
    nearest = min((len(reference) for reference in theirs), key=lambda length: (abs(length - len(ours)), length))
    brevity = 1.0 if len(ours) > nearest else math.exp(1 - nearest / len(ours))
    return brevity * math.exp(sum(logs) / len(logs))


def _gleu(answer: str, reference: str) -> float:
    ours, theirs = _plain(answer), _plain(reference)
    if ours == theirs and ours:
        return 1.0
    sides = [sum((_grams(side, order) for order in ORDERS), Grams()) for side in (ours, theirs)]
    longest = max(sides[0].total(), sides[1].total())
    return (sides[0] & sides[1]).total() / longest if longest else 0.0


def _plain(text: str) -> list[str]:
    return [word.rstrip(".") for word in words(text.lower())]


def _grams(parts: Sequence[str], order: int) -> Grams:
    return Counter(tuple(parts[start : start + order]) for start in range(len(parts) - order + 1))


TYPES: dict[str, type] = {"bleu": Bleu, "gleu": Gleu, "rouge-n": RougeN}
