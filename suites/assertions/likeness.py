"""The answer is like the original's: same-answer, similar-to-original."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, graded_check, shown
from suites.assertions.distance import distance
from suites.assertions.overlap import rouge
from suites.assertions.pattern import Regex, search
from suites.errors import SuiteError
from suites.reply import Reply
from suites.vectors import cosine, vector
from suites.words import words

NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
CHOICE = re.compile(r"(?<![\w'])\(?([A-J])\)?(?![\w'])")


@dataclass(frozen=True)
class SameAnswer:
    """The same answer is found in both: the text, case and white space folded, or what the value says to look for.

    Value: number, the last one; choice, the last letter A to J that stands alone; json, the whole answer as JSON; or
    {pattern: ...}, what the pattern finds. Where neither answer has one, they are the same.
    """

    value: object = "text"
    needs: ClassVar[frozenset[str]] = frozenset({"original"})

    def __post_init__(self) -> None:
        if isinstance(self.value, dict) and self.value.keys() == {"pattern"}:
            Regex(self.value["pattern"])
        elif not isinstance(self.value, str) or self.value not in WAYS:
            raise SuiteError(f"same-answer: the value must be {', '.join(WAYS)}, or {{pattern: a pattern}}")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        assert original is not None, "Asserted.check asks for the original"
        after, before = self._found(answer.text), self._found(original.text)
        reason = f"the answer is {shown(after)}, the original's {shown(before)}"
        return found("same-answer", after == before, reason)

    def _found(self, text: str) -> str:
        if isinstance(self.value, dict):
            return search(self.value["pattern"], text) or ""
        return WAYS[str(self.value)](text)


@dataclass(frozen=True)
class SimilarToOriginal:
    """The answer is similar enough to the original's, 0 to 1; 0.75 if no threshold is given.

    Value: rouge (if not given), ROUGE-1 of the words; edit, 1 less the edits over the length of the longer; embedding,
    the cosine of sentence embeddings.
    """

    value: object = "rouge"
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.value not in ("edit", "embedding", "rouge"):
            raise SuiteError("similar-to-original: the value must be edit, embedding or rouge")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"original", "embeddings"} if self.value == "embedding" else {"original"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        assert original is not None, "Asserted.check asks for the original"
        return graded_check("similar-to-original", self._score(answer, original), self.threshold, 0.75)

    def _score(self, answer: Reply, original: Reply) -> float:
        if self.value == "embedding" and answer.text != original.text:
            return max(cosine(vector(answer, answer.text), vector(answer, original.text)), 0.0)
        if self.value == "edit":
            return _kept(answer.text, original.text)
        return _shared(answer.text, original.text)


def _kept(one: str, other: str) -> float:
    longest = max(len(one), len(other))
    return max(1 - distance(one, other) / longest, 0.0) if longest else 1.0


def _shared(one: str, other: str) -> float:
    return 1.0 if one == other else rouge(one, other)


def _text(text: str) -> str:
    return " ".join(words(text.casefold()))


def _number(text: str) -> str:
    numbers = NUMBER.findall(text)
    return f"{float(numbers[-1].replace(',', '')):.12g}" if numbers else ""


def _choice(text: str) -> str:
    letters = CHOICE.findall(text)
    return letters[-1] if letters else ""


def _json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return ""


WAYS: dict[str, Callable[[str], str]] = {"text": _text, "number": _number, "choice": _choice, "json": _json}

TYPES: dict[str, type] = {"same-answer": SameAnswer, "similar-to-original": SimilarToOriginal}
