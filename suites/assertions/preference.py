"""A judge prefers this answer to the original's, or finds it as good: select-best."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found
from suites.errors import SuiteError
from suites.judge import question, replied, unreadable
from suites.reply import Reply
from suites.wording import Words, parsed, single

TASK = "You are given a question and two answers to it, 0 and 1. Which of the two meets the criterion better?"
FORM = "Reply with one digit and with nothing else: 0 or 1."


@dataclass(frozen=True)
class SelectBest:
    """Of this answer and the original's a judge does not prefer the original's by the value, a criterion in words.

    It is asked twice, with the answers in either order: a preference that goes with the place is none, and both are
    then as good. What promptfoo chooses among several outputs is here chosen among two.
    """

    value: object
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"judge", "original"})

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value.strip():
            raise SuiteError("select-best: the value must be a criterion in words, not empty")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        assert original is not None, "Asserted.check asks for the original"
        if answer.text == original.text:
            return found("select-best", True, "the answer is the original's")
        in_second_place = self._chosen(answer, original.text, answer.text) == 1
        in_first_place = self._chosen(answer, answer.text, original.text) == 0
        wins = [in_second_place, in_first_place]
        if all(wins):
            return found("select-best", True, "the judge prefers it to the original's in either order")
        if any(wins):
            return found("select-best", True, "the judge prefers whichever of the two answers stands in one place")
        return found("select-best", False, "the judge prefers the original's in either order")

    def _chosen(self, answer: Reply, zero: str, one: str) -> int:
        words = single(self.wording)
        if words is not None:
            facts = {"criteria": self.value, "outputs": [parsed(zero), parsed(one)]}
            text = words.reply(answer, {**answer.vars, **facts})
            number = re.search(r"[0-9]+", text)
            if number is None or number[0] not in ("0", "1"):
                raise unreadable(text)
            return int(number[0])
        material = {"criterion": str(self.value), "question": answer.prompt, "answer 0": zero, "answer 1": one}
        text = replied(answer, question(TASK, FORM, material))
        if text not in ("0", "1"):
            raise unreadable(text)
        return int(text)


TYPES: dict[str, type] = {"select-best": SelectBest}
