"""How far a candidate is from its original at every token of the answers that the original gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.answering.generation import prompt_tokens
from harness.fidelity.divergence import pieces
from harness.progress import Progress, silent
from harness.records import Answer, AnswerDivergence
from harness.scoring import select

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.opening import LoadedModel

TOGETHER = 16
"""Answers that are handed over at once."""


def answer_divergences(
    models: tuple[LoadedModel, LoadedModel],
    answers: Sequence[Answer],
    keep: Callable[[list[AnswerDivergence]], None],
    progress: Progress = silent,
) -> None:
    """KL(original || candidate) of the next token, before each token of the original's answers, in nats.

    models: original and candidate. Both read what the original was sent and what it said, whatever the candidate would
    have said (teacher forcing). An answer is passed over whose tokens are not known, that the two models' tokenizers
    cut differently, or at which the divergence is not a number.
    """
    found: list[AnswerDivergence] = []
    for done, answer in enumerate(answers):
        progress("divergences", done, len(answers))
        one = _divergence(models, answer)
        found += [one] if one else []
        if len(found) == TOGETHER:
            keep(found)
            found = []
    keep(found)
    progress("divergences", len(answers), len(answers))


def _divergence(models: tuple[LoadedModel, LoadedModel], answer: Answer) -> AnswerDivergence | None:
    before, after = models
    if answer.tokens is None:
        return None
    if not answer.tokens:
        return AnswerDivergence(answer.case, answer.repeat, (), ())
    asked = prompt_tokens(before, answer.prompt)
    texts = pieces(answer.tokens, before.tokenizer)
    if prompt_tokens(after, answer.prompt) != asked or pieces(answer.tokens, after.tokenizer) != texts:
        return None
    old, new = (_log_probabilities(one, asked, answer.tokens) for one in models)
    if old.shape != new.shape:
        return None
    # Rounding can make the sum slightly negative where the distributions are equal.
    kl = (old.exp() * (old - new)).sum(dim=-1).clamp(min=0)
    if not bool(kl.isfinite().all()):
        return None
    return AnswerDivergence(answer.case, answer.repeat, texts, tuple(kl.tolist()))


def _log_probabilities(loaded: LoadedModel, asked: Sequence[int], said: Sequence[int]) -> Tensor:
    """(tokens of the answer, vocabulary), float32."""
    row = [*asked, *said[:-1]]
    return select(loaded.model, [row], [range(len(asked) - 1, len(row))]).logits.float().log_softmax(dim=-1).cpu()
