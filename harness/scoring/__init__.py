"""Log-likelihoods of given continuations: what rows share computed once, the output layer only where it is asked.

Works on token ids; it knows nothing of text, tasks or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.models.context import stated_context
from harness.progress import Progress, silent
from harness.scoring.engine import in_batches, in_trees
from harness.scoring.nan import where_broken
from harness.scoring.passes import select
from harness.scoring.requests import NotFiniteError, Request, Score, row_tokens, rows
from harness.scoring.sharing import shares_beginnings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["NotFiniteError", "Request", "Score", "context_length", "loglikelihoods", "select"]

DEFAULT_CONTEXT = 2048
"""Tokens; for a config that states no limit, as lm-eval assumes."""


def keep_nothing(scores: dict[int, Score]) -> None:
    """For a caller who waits for the whole."""


def loglikelihoods(
    model: PreTrainedModel,
    requests: Sequence[Request],
    progress: Progress = silent,
    on_batch: Callable[[dict[int, Score]], None] = keep_nothing,
    packed: int | None = None,
) -> list[Score]:
    """Score all requests, in their order.

    on_batch: is handed scores, by number of the request, as soon as they are there. packed: tokens of one row of the
    model; None: what suits the device.
    A row too long for the model loses its first tokens, as in lm-eval. Results do not depend on what is scored together
    beyond rounding (1e-4 in float32). Raises HarnessError for an empty request, NotFiniteError for NaN.
    """
    limit = context_length(model)
    todo = rows(requests, limit)
    scored = in_trees if todo and shares_beginnings(model) else in_batches
    scores: dict[int, Score] = {}
    for found in scored(model, todo, requests, packed):
        _refuse_nan(model, requests, found)
        on_batch(found)
        scores.update(found)
        progress("scoring", len(scores), len(requests))
    return [scores[index] for index in range(len(requests))]


def _refuse_nan(model: PreTrainedModel, requests: Sequence[Request], found: dict[int, Score]) -> None:
    for index, score in found.items():
        if math.isnan(score.logprob):
            where = where_broken(model, row_tokens(requests[index], context_length(model)))
            raise NotFiniteError(f"request {index}: the model's log-likelihood is NaN{where}")


def context_length(model: PreTrainedModel) -> int:
    """The most tokens the model reads at once."""
    return stated_context(model) or DEFAULT_CONTEXT
