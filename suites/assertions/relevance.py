"""The answer is an answer to what was asked: answer-relevance (Es et al., Ragas, arXiv 2309.15217).

Deliberate difference from the paper and from promptfoo: one question is asked of the judge instead of three samples of
it, which a judge that decodes greedily would give three times the same.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, shown
from suites.judge import line, question, replied, unreadable
from suites.reply import Reply
from suites.vectors import cosine, vector
from suites.wording import Words, parsed, single

TASK = "You are given an answer. Write the one question that it answers, as the person who asked would have put it."
FORM = "Reply with that question in one line and with nothing else."


@dataclass(frozen=True)
class AnswerRelevance:
    """The question that a judge reads from the answer is, by embeddings, like the one that was asked.

    What was asked is the var `query`, or else the last message. The score is the cosine, which must reach the
    threshold; 0 if none is given.
    """

    threshold: float | None = None
    wording: Words | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"judge", "embeddings"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        given = answer.vars.get("query")
        asked = given if isinstance(given, str) else answer.prompt
        words = single(self.wording)
        if words is not None:
            # promptfoo's documents say output, and its code fills in nothing for that.
            read = words.reply(answer, dict.fromkeys(("answer", "output"), parsed(answer.text)))
        else:
            read = replied(answer, question(TASK, FORM, {"answer": answer.text}))
        if not read:
            raise unreadable(read)
        near = cosine(vector(answer, asked), vector(answer, read))
        limit = self.threshold or 0.0
        passed = near >= limit - sys.float_info.epsilon
        reason = f"the answer is one to {shown(line(read))}; relevance {near:.4f}, the rule says {limit:g} at least"
        return Check("answer-relevance", passed, min(max(near, 0.0), 1.0), reason)


TYPES: dict[str, type] = {"answer-relevance": AnswerRelevance}
