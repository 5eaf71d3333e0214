"""Log-likelihoods of given continuations: every distinct row once, the output layer only where something is scored.

Works on token ids; it knows nothing of text, tasks or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import HarnessError
from harness.progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

BATCH_TOKENS = 2048
"""Tokens of one forward pass, padding counted; a longer row goes alone."""
LOGIT_ROWS = 256
"""Positions whose float32 log-softmax is in memory at a time."""
DEFAULT_CONTEXT = 2048
"""Tokens; for a config that states no limit, as lm-eval assumes."""


class NotFiniteError(HarnessError):
    """The model's output is NaN: nothing can be concluded from it."""


@dataclass(frozen=True)
class Request:
    """Score `continuation` after `context`; both are token ids, neither may be empty."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """The answer to one Request."""

    logprob: float
    """Natural logarithm, summed over the continuation."""
    greedy: bool
    """Whether each token of the continuation is the most likely one."""
    cut: int
    """Tokens dropped from the left because the row was longer than the model's context."""


class Selected(NamedTuple):
    """What came into the output layer and what came out of the model, at chosen positions."""

    hidden: Tensor
    """(positions, hidden)"""
    logits: Tensor
    """(positions, vocabulary)"""


@dataclass(frozen=True)
class _Row:
    """One input of the model and the requests that it answers."""

    tokens: tuple[int, ...]
    requests: tuple[int, ...]
    scored: int
    """The last so many positions are looked at: the longest continuation of the row."""


def keep_nothing(scores: dict[int, Score]) -> None:
    """For a caller who waits for the whole."""


def loglikelihoods(
    model: PreTrainedModel,
    requests: Sequence[Request],
    progress: Progress = silent,
    what: str = "scoring",
    on_batch: Callable[[dict[int, Score]], None] = keep_nothing,
) -> list[Score]:
    """Score all requests, in their order.

    on_batch: is handed the scores of each batch, by number of the request, as soon as they are there.
    A row too long for the model loses its first tokens, as in lm-eval. Results do not depend on the batching beyond
    rounding (1e-4). Raises HarnessError for an empty request, NotFiniteError for NaN.
    """
    limit = context_length(model)
    scores: dict[int, Score] = {}
    for batch in _batches(_rows(requests, limit)):
        found = _scored(model, batch, requests, limit)
        on_batch(found)
        scores.update(found)
        progress(what, len(scores), len(requests))
    return [scores[index] for index in range(len(requests))]


def context_length(model: PreTrainedModel) -> int:
    """The most tokens the model reads at once."""
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "n_ctx"):
        if length := getattr(config, name, None):
            return int(length)
    return DEFAULT_CONTEXT


def select(model: PreTrainedModel, rows: Sequence[Sequence[int]], positions: Sequence[range]) -> Selected:
    """One forward pass in which the output layer sees only `positions` of each row, concatenated row by row.

    Rows are padded on the right and need no mask: in a causal model no real position sees what follows it. The model
    itself applies its output layer, so that soft caps and scales stay as they are.
    """
    import torch

    length = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], device=model.device)
    lines = torch.tensor([i for i, chosen in enumerate(positions) for _ in chosen], device=model.device)
    columns = torch.tensor([column for chosen in positions for column in chosen], device=model.device)
    head: Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        raise HarnessError(f"{type(model).__name__} has no output layer: give a causal language model")
    caught: list[Tensor] = []

    def keep_chosen(_: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        caught.append(inputs[0][lines, columns])
        return (caught[0].unsqueeze(0),)

    hook = head.register_forward_pre_hook(keep_chosen)
    try:
        with torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False).logits[0]
    finally:
        hook.remove()
    return Selected(caught[0], logits)


def _rows(requests: Sequence[Request], limit: int) -> list[_Row]:
    """Distinct inputs, longest first; the last token of a continuation is never an input."""
    sharing: dict[tuple[int, ...], list[int]] = {}
    for index, request in enumerate(requests):
        if not request.context or not request.continuation:
            part = "continuation" if request.context else "context"
            raise HarnessError(f"request {index}: the {part} has no token; both parts need at least one")
        if len(request.continuation) > limit:
            raise HarnessError(
                f"request {index}: a continuation of {len(request.continuation)} tokens; the model reads {limit}"
            )
        tokens = (request.context + request.continuation)[:-1][-limit:]
        sharing.setdefault(tokens, []).append(index)
    rows = [
        _Row(tokens, tuple(indices), max(len(requests[index].continuation) for index in indices))
        for tokens, indices in sharing.items()
    ]
    return sorted(rows, key=lambda row: -len(row.tokens))


def _batches(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Rows in the order given, as many at a time as BATCH_TOKENS allows, but at least one."""
    batch: list[_Row] = []
    for row in rows:
        if batch and (len(batch) + 1) * len(batch[0].tokens) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _scored(model: PreTrainedModel, batch: Sequence[_Row], requests: Sequence[Request], limit: int) -> dict[int, Score]:
    """Request number -> score, for the requests of one batch."""
    positions = [range(len(row.tokens) - row.scored, len(row.tokens)) for row in batch]
    logits = select(model, [row.tokens for row in batch], positions).logits
    lines: list[int] = []
    targets: list[int] = []
    end = 0
    for row in batch:
        end += row.scored
        for index in row.requests:
            continuation = requests[index].continuation
            lines.extend(range(end - len(continuation), end))
            targets.extend(continuation)
    logprobs, greedy = _picked(logits, lines, targets)

    scores: dict[int, Score] = {}
    start = 0
    for index in (index for row in batch for index in row.requests):
        request = requests[index]
        part = slice(start, start := start + len(request.continuation))
        total = math.fsum(logprobs[part])
        if math.isnan(total):
            raise NotFiniteError(f"request {index}: the model's log-likelihood is NaN")
        cut = max(0, len(request.context) + len(request.continuation) - 1 - limit)
        scores[index] = Score(total, all(greedy[part]), cut)
    return scores


def _picked(logits: Tensor, lines: Sequence[int], targets: Sequence[int]) -> tuple[list[float], list[bool]]:
    """Log-probability of each target at its line of `logits`, in float32, and whether it is the largest there.

    logits: (positions, vocabulary).
    """
    import torch

    at = torch.tensor(lines, device=logits.device)
    wanted = torch.tensor(targets, device=logits.device)
    chunks = torch.split(logits, LOGIT_ROWS)
    totals = torch.cat([chunk.float().logsumexp(dim=-1) for chunk in chunks])
    best = torch.cat([chunk.argmax(dim=-1) for chunk in chunks])
    logprobs = logits[at, wanted].float() - totals[at]
    return logprobs.tolist(), (best[at] == wanted).tolist()
