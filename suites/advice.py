"""What an assertion asks of another model, and what that replied: a judge's words, the vector of a text.

Nobody is asked while an answer is graded. Whoever asked before hands the replies over by `Reply.advised`, so that
grading again costs nothing and says the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["judge", "embeddings"]
"""Who is asked; the same word in the `needs` of an assertion."""
KINDS: tuple[Kind, ...] = ("judge", "embeddings")


@dataclass(frozen=True)
class Question:
    """One text, put to one kind of model."""

    kind: Kind
    text: str

    @cached_property
    def id(self) -> str:
        """The same for the same question, whoever asks it, of whichever answer."""
        return hashlib.sha256(json.dumps([self.kind, self.text]).encode()).hexdigest()


@dataclass(frozen=True)
class Advice:
    """What came back: a judge's words as they are, or the numbers of a vector as JSON."""

    reply: str | None
    """None: nothing that could be read, and `error` says why."""
    error: str = ""


Advised = Callable[[Question], Advice]
"""Looks up what was replied to a question."""


def looked_up(replies: Mapping[str, Advice]) -> Advised:
    """Return what looks up replies by the ids of their questions."""
    return lambda question: replies.get(question.id) or nobody(question)


def nobody(question: Question) -> Advice:
    """Advice where there is no one to ask."""
    return Advice(None, "no judge was asked" if question.kind == "judge" else "no embeddings were made")
