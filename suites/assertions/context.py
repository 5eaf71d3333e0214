"""The answer, or what it was made from, held against the var `context`: context-faithfulness, -recall, -relevance."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
from suites.filters import dump
from suites.judge import json_only, object_in, question, unreadable
from suites.reply import Reply
from suites.shares import attributed, extracted, lines, verdicts
from suites.wording import Words, named, parsed, single

STATEMENTS = """\
Take the text named {text} apart into short statements, each of which says one thing. Of every statement decide \
whether the context says so or it follows from the context; what you know yourself does not count."""
STATEMENTS_FORM = json_only('{"statements": [{"statement": "one thing", "supported": true or false}]}')
NEEDED = """\
You are given a question and a context, whose parts are numbered. Which parts would one need to answer the question?"""
NEEDED_FORM = json_only('{"needed": [the numbers of the parts, or none]}')
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
SUPPORTED = "statements are supported"
NEEDED_PARTS = "parts of the context are needed"
NEEDS = frozenset({"judge", "vars.context"})


@dataclass(frozen=True)
class ContextFaithfulness:
    """The share of the answer's statements that the context supports reaches the threshold; 0 if none is given."""

    threshold: float | None = None
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        if self.wording is not None and (named(self.wording, 1) is None or named(self.wording, 2) is not None):
            raise SuiteError("context-faithfulness: the rubricPrompt must be a list of two texts: it asks twice")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        into, held = named(self.wording, 0), named(self.wording, 1)
        if into is not None and held is not None:
            told = {**answer.vars, "question": answer.vars.get("query", ""), "answer": parsed(answer.text)}
            statements = lines(into.reply(answer, told))
            told = {**answer.vars, "context": _whole(answer.vars), "statements": statements}
            supported = verdicts(held.reply(answer, told), len(statements))
            return _share("context-faithfulness", supported, len(statements), SUPPORTED, self.threshold)
        return _supported("context-faithfulness", {"answer": answer.text}, answer, self.threshold)


@dataclass(frozen=True)
class ContextRecall:
    """The share of the value's statements that the context supports reaches the threshold; 0 if none is given."""

    value: object
    threshold: float | None = None
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value.strip():
            raise SuiteError("context-recall: the value must be the right answer in words, not empty")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        words = single(self.wording)
        if words is not None:
            told = {**answer.vars, "context": _whole(answer.vars), "groundTruth": self.value}
            supported = attributed(words.reply(answer, told))
            return _share("context-recall", supported.count(True), len(supported), SUPPORTED, self.threshold)
        return _supported("context-recall", {"reference": str(self.value)}, answer, self.threshold)


@dataclass(frozen=True)
class ContextRelevance:
    """The share of the context's parts that the var `query` needs reaches the threshold; 0 if none is given.

    A part is an element of the context, or a sentence where the context is one text.
    """

    threshold: float | None = None
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = NEEDS | {"vars.query"}

    def check(self, answer: Reply, original: Reply | None) -> Check:
        words = single(self.wording)
        if words is not None:
            told = {"context": _whole(answer.vars), "query": answer.vars.get("query")}
            count, total = extracted(words.reply(answer, told), answer.vars.get("context"))
            return _share("context-relevance", count, total, NEEDED_PARTS, self.threshold)
        parts = _parts(answer.vars)
        numbered = "\n".join(f"{number}. {part}" for number, part in enumerate(parts, 1))
        material = {"question": str(answer.vars.get("query")), "context": numbered}
        said = object_in(answer, question(NEEDED, NEEDED_FORM, material)).get("needed")
        numbers = range(1, len(parts) + 1)
        if not isinstance(said, list) or not all(isinstance(one, int) and one in numbers for one in said):
            raise unreadable(dump(said))
        return _share("context-relevance", len(set(said)), len(parts), NEEDED_PARTS, self.threshold)


def _supported(type: str, text: Mapping[str, str], answer: Reply, threshold: float | None) -> Check:
    """Return the check of how many statements of a text, by its name, the context supports."""
    task = STATEMENTS.format(text=", ".join(text))
    material = {**text, "context": "\n".join(_parts(answer.vars))}
    said = object_in(answer, question(task, STATEMENTS_FORM, material)).get("statements")
    if not isinstance(said, list) or not said:
        raise unreadable(dump(said))
    supported = [one.get("supported") if isinstance(one, dict) else None for one in said]
    if not all(isinstance(one, bool) for one in supported):
        raise unreadable(dump(said))
    return _share(type, supported.count(True), len(supported), SUPPORTED, threshold)


def _parts(given: Mapping[str, object]) -> list[str]:
    """Return the parts of the context; raises SuiteError if there are none."""
    context = given.get("context")
    parts = context if isinstance(context, list) else SENTENCE.split(str(context))
    texts = [str(part) for part in parts if str(part).strip()]
    if not texts:
        raise SuiteError("the var context is empty")
    return texts


def _whole(given: Mapping[str, object]) -> str:
    """Return the context as one text, as a suite's own words are told it."""
    context = given.get("context")
    return "\n\n".join(map(str, context)) if isinstance(context, list) else str(context)


def _share(type: str, count: int, total: int, what: str, threshold: float | None) -> Check:
    score, limit = count / total if total else 0.0, threshold or 0.0
    reason = f"{count} of {total} {what}, the rule says a share of {limit:g} at least"
    return Check(type, score >= limit - sys.float_info.epsilon, score, reason)


TYPES: dict[str, type] = {
    "context-faithfulness": ContextFaithfulness,
    "context-recall": ContextRecall,
    "context-relevance": ContextRelevance,
}
