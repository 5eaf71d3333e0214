"""A judge holds the facts of the answer against those of the value: factuality, model-graded-factuality."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from suites.assertions import Check, found
from suites.errors import SuiteError
from suites.filters import dump
from suites.judge import REASON, json_only, line, object_in, question, reason_in, unreadable
from suites.objects import objects
from suites.reply import Reply
from suites.wording import Words, parsed, single

KINDS = {
    "A": "the answer says part of what the reference says, and nothing against it",
    "B": "the answer says all that the reference says and more, and nothing against it",
    "C": "the answer and the reference say the same",
    "D": "the answer and the reference contradict each other",
    "E": "they differ in ways that matter nothing to what is true",
}
TASK = """\
You compare the facts in an answer with those in a reference that is known to be right. Pass over style, order and \
spelling. Choose the one letter that is true:
""" + "\n".join(f"{letter}: {meaning}" for letter, meaning in KINDS.items())
LETTER = re.compile(r"\(?([a-eA-E])\)\s*(.*)", re.DOTALL)
"""A letter as it is in a reply without JSON."""
FORM = json_only(f'{{{REASON}, "category": "A", "B", "C", "D" or "E"}}')


@dataclass(frozen=True)
class Factuality:
    """A judge finds that the answer does not contradict the value, a reference that is right."""

    value: object
    wording: Words | None = None
    scores: Mapping[str, float] | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"judge"})

    def __post_init__(self) -> None:
        _reference("factuality", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _scored(_compared("factuality", self.value, self.wording, answer), self.scores)


@dataclass(frozen=True)
class ModelGradedFactuality:
    """The same as factuality, by its older name."""

    value: object
    wording: Words | None = None
    scores: Mapping[str, float] | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"judge"})

    def __post_init__(self) -> None:
        _reference("model-graded-factuality", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _scored(_compared("model-graded-factuality", self.value, self.wording, answer), self.scores)


def _reference(type: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SuiteError(f"{type}: the value must be a reference in words, not empty")
    return value


def _compared(type: str, value: object, wording: Words | None, answer: Reply) -> Check:
    words = single(wording)
    if words is not None:
        facts = {"input": answer.prompt, "ideal": value, "completion": parsed(answer.text)}
        return _read(type, words.reply(answer, {**answer.vars, **facts}))
    material = {"question": answer.prompt, "reference": _reference(type, value), "answer": answer.text}
    said = object_in(answer, question(TASK, FORM, material))
    letter = said.get("category")
    if not isinstance(letter, str) or letter not in KINDS:
        raise unreadable(dump(said))
    return found(type, letter != "D", f"{letter}, {KINDS[letter]}; {reason_in(said)}")


def _scored(check: Check, scores: Mapping[str, float] | None) -> Check:
    """Return the check with the score that the suite gives for the letter with which its reason begins."""
    if scores is None:
        return check
    score = scores[check.reason[0]]
    return replace(check, passed=score > 0, score=score)


def _read(type: str, text: str) -> Check:
    """Return the check of a reply to a suite's own words: JSON with a category, or else a letter before a bracket."""
    said = next(objects(text), {})
    letter, reason = said.get("category"), reason_in(said)
    if not letter or not isinstance(letter, str):
        plain = LETTER.search(text)
        if plain is None:
            raise unreadable(text)
        letter, reason = plain[1], f"the judge: {line(plain[2] or text)}"
    letter = letter.strip().upper()
    if letter not in KINDS:
        raise unreadable(text)
    return found(type, letter != "D", f"{letter}, {KINDS[letter]}; {reason}")


TYPES: dict[str, type] = {"factuality": Factuality, "model-graded-factuality": ModelGradedFactuality}
