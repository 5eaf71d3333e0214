"""How likely each token of an answer was to the model that said it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.answering.generation import prompt_tokens
from harness.records import Answer
from harness.scoring import Request, loglikelihoods

if TYPE_CHECKING:
    from harness.models.opening import LoadedModel


def with_logprobs(loaded: LoadedModel, answers: Sequence[Answer]) -> list[Answer]:
    """The answers with the log-probabilities of their tokens; those that are none stay as they are.

    One request a token, after the prompt and the tokens before it: what they share goes through the model once.
    Raises NotFiniteError if one of them is NaN.
    """
    requests = [list(_requests(loaded, answer)) for answer in answers]
    scores = iter(loglikelihoods(loaded.model, [request for own in requests for request in own]))
    return [
        answer if answer.tokens is None else replace(answer, logprobs=tuple(next(scores).logprob for _ in own))
        for answer, own in zip(answers, requests, strict=True)
    ]


def _requests(loaded: LoadedModel, answer: Answer) -> Iterator[Request]:
    row = tuple(prompt_tokens(loaded, answer.prompt))
    for token in answer.tokens or ():
        yield Request(row, (token,))
        row += (token,)
