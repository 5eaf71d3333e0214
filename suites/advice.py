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
    chat: bool = False
    """Whether the text is the JSON of several messages, role and content each."""

    @cached_property
    def id(self) -> str:
        """The same for the same question, whoever asks it, of whichever answer."""
        parts = [self.kind, self.text, *(["chat"] if self.chat else [])]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def messages(self) -> list[dict[str, str]]:
        """What a model is told, as a chat."""
        return list(json.loads(self.text)) if self.chat else [{"role": "user", "content": self.text}]


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
