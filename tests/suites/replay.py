"""Advice that is written down beforehand: what a judge says, one reply a question, and vectors by their text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from suites.advice import Advice, Question


class Replay:
    """Gives each new question of a judge the next reply, and an old one the reply it had."""

    def __init__(self, said: Sequence[str] = (), vectors: Mapping[str, Sequence[float]] | None = None) -> None:
        self.asked: list[Question] = []
        self._said = said
        self._vectors = vectors or {}

    def __call__(self, question: Question) -> Advice:
        if question.kind == "embeddings":
            return Advice(json.dumps(self._vectors[question.text]))
        if question not in self.asked:
            self.asked.append(question)
        return Advice(self._said[self.asked.index(question)])


def facts_of(given: Mapping[str, object]) -> dict[str, object]:
    """What a file says is known of an answer, as a Reply takes it: lists as tuples, advice as a replay of it."""
    facts = {
        name: tuple(v) if isinstance(v, list) else v for name, v in given.items() if name not in ("said", "vectors")
    }
    advice = {"said", "vectors"} & given.keys()
    return facts | ({"advised": Replay(given.get("said", ()), given.get("vectors"))} if advice else {})
