"""A judge grades the answer by a rule in words: llm-rubric, model-graded-closedqa."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found
from suites.errors import SuiteError
from suites.filters import dump
from suites.judge import REASON, json_only, line, number_in, object_in, question, reason_in, replied, unreadable
from suites.reply import Reply
from suites.wording import Wording, Words, parsed, single

RUBRIC = """\
You grade the answer that a language model gave to a question. Decide whether the answer meets the rule, and how \
well: the score is 1 if it does so fully, 0 if not at all. Judge by the rule alone, not by how long or how sure of \
itself the answer is."""
VERDICT = json_only(f'{{{REASON}, "pass": true or false, "score": a number from 0 to 1}}')
CLOSED = """\
You are given a question, an answer to it and one criterion. Decide whether the answer meets the criterion. Think \
first, in a sentence or two."""
YES = re.compile("true|yes|pass|y", re.IGNORECASE)
LAST_LINE = "Then write a last line of one letter and nothing else: Y if the answer meets the criterion, N if not."


@dataclass(frozen=True)
class LlmRubric:
    """A judge finds that the answer meets the value, a rule in words.

    With a threshold its score must reach that too.
    """

    value: object = None
    threshold: float | None = None
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"judge"})

    def __post_init__(self) -> None:
        if self.value is None and single(self.wording) is not None:
            return
        if not isinstance(self.value, str | list | dict) or not self.value:
            raise SuiteError("llm-rubric: the value must be a rule in words, or data that states one, not empty")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        words = single(self.wording)
        if words is not None:
            return self._in_own_words(words, answer)
        rule = self.value if isinstance(self.value, str) else dump(self.value)
        material = {"rule": rule, "question": answer.prompt, "answer": answer.text}
        said = object_in(answer, question(RUBRIC, VERDICT, material))
        passed = said.get("pass")
        if not isinstance(passed, bool):
            raise unreadable(dump(said))
        score = number_in(said, "score", 1) if "score" in said else float(passed)
        passed = passed and (self.threshold is None or score >= self.threshold)
        return Check("llm-rubric", passed, score, f"{reason_in(said)} (score {score:g})")

    def _in_own_words(self, words: Wording, answer: Reply) -> Check:
        facts = {**answer.vars, "output": parsed(answer.text), "rubric": "" if self.value is None else self.value}
        said = words.object_in_reply(answer, facts)
        if not said.keys() & {"pass", "score"}:
            raise unreadable(dump(said))
        passed = _true(said.get("pass"))
        score = _score(said, passed)
        passed = passed and (self.threshold is None or score >= self.threshold)
        reason = f"{reason_in(said)} (score {score:g})"
        return Check("llm-rubric", passed, score, reason, turned=(not passed, min(max(1 - score, 0.0), 1.0)))


@dataclass(frozen=True)
class ClosedQa:
    """A judge finds that the answer meets the value, one criterion."""

    value: object
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"judge"})

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value.strip():
            raise SuiteError("model-graded-closedqa: the value must be a criterion in words, not empty")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        words = single(self.wording)
        if words is not None:
            return self._in_own_words(words, answer)
        material = {"criterion": str(self.value), "question": answer.prompt, "answer": answer.text}
        text = replied(answer, question(CLOSED, LAST_LINE, material))
        *thoughts, last = text.splitlines() or [""]
        if last.strip() not in ("Y", "N"):
            raise unreadable(text)
        return found("model-graded-closedqa", last.strip() == "Y", f"the judge: {line(' '.join([*thoughts, last]))}")

    def _in_own_words(self, words: Wording, answer: Reply) -> Check:
        facts = {"input": answer.prompt, "criteria": self.value, "completion": parsed(answer.text)}
        text = words.reply(answer, {**answer.vars, **facts})
        if not text.endswith(("Y", "N")):
            raise unreadable(text)
        return found("model-graded-closedqa", text.endswith("Y"), f"the judge: {line(text)}")


def _true(value: object) -> bool:
    """Return whether `pass` of a reply to a suite's own words means so; where there is none, it does."""
    if value is None or isinstance(value, bool):
        return value is not False
    return isinstance(value, str) and YES.fullmatch(value) is not None


def _score(said: Mapping[str, object], passed: bool) -> float:
    """Return `score` of a reply to a suite's own words as JavaScript reads it; without one, 1 or 0."""
    value = said.get("score", "none")
    try:
        number = float(value or 0) if isinstance(value, str | int | float | None) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    return number if math.isfinite(number) else float(passed)


TYPES: dict[str, type] = {"llm-rubric": LlmRubric, "model-graded-closedqa": ClosedQa}
