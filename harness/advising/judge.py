"""A judge: a model here or at an endpoint, asked as any model is, greedily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.advising import Keep
from harness.answering.generation import Prompt, answers
from harness.asking import PROTOCOL
from harness.digest import digest
from harness.endpoints import served_answers
from harness.models.subject import Subject
from harness.progress import Progress, named
from harness.records import Answer, ModelSpec
from suites.advice import Advice, Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NAME = "judge"
NEW_TOKENS = 512
"""At most in one reply."""


class Judge:
    """An adviser that replies in words. owner: the job that replies belong to if what is served may change."""

    def __init__(self, spec: ModelSpec, owner: str, progress: Progress) -> None:
        self._subject = Subject(spec, progress)
        self._owner = owner
        self.name = spec.source

    @property
    def identity(self) -> str:
        own = () if self._subject.lasting else (self._owner,)
        return digest(NAME, PROTOCOL, NEW_TOKENS, self._subject.fingerprint, *own)

    def ask(self, questions: Sequence[Question], keep: Keep, progress: Progress) -> None:
        """Raises EndpointError if the judge's endpoint answers nothing any more."""
        by_id = {question.id: question for question in questions}

        def hand_over(batch: list[Answer]) -> None:
            keep({by_id[one.case]: Advice(one.text, f"the judge: {one.error}" if one.error else "") for one in batch})

        connection = self._subject.connection()
        if connection is not None:
            prompts = [Prompt(question.id, question.messages, NEW_TOKENS) for question in questions]
            served_answers(connection, prompts, hand_over, named(progress, NAME))
            return
        loaded = self._subject.loaded()
        prompts = [_prompt(question, loaded.tokenizer) for question in questions]
        answers(loaded, prompts, hand_over, named(progress, NAME))

    def release(self) -> None:
        self._subject.release()


def _prompt(question: Question, tokenizer: PreTrainedTokenizerBase) -> Prompt:
    messages = [{**one, "content": _harmless(one["content"], tokenizer)} for one in question.messages]
    return Prompt(question.id, messages, NEW_TOKENS)


def _harmless(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text with a blank inside whatever the tokenizer would take for a token of its own, such as the end of a turn.

    An answer that is judged must not be able to end the question it is part of.
    """
    special = [str(token) for token in tokenizer.all_special_tokens]
    for token in sorted(special, key=len, reverse=True):
        text = text.replace(token, f"{token[:1]} {token[1:]}")
    return text
