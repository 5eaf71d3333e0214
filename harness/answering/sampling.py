"""The next tokens of rows: the likeliest, or drawn. What a row is batched with changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.digest import digest

if TYPE_CHECKING:
    from torch import Tensor

    from harness.answering.rows import Row
    from suites.sampling import Sampling

SEED_BITS = 31
"""Of a seed; endpoints take no more."""
CHANCE_BITS = 52
FEW = 512
"""The likeliest tokens that are tried before the whole vocabulary is sorted."""


def seed_of(sampling: Sampling, case: str, repeat: int) -> int:
    """The same for both models, so that they differ by what they know and less by luck."""
    return int(digest("sampled", sampling.seed, case, repeat)[:16], 16) >> (64 - SEED_BITS)


def chosen(logits: Tensor, rows: Sequence[Row], places: Sequence[int]) -> Tensor:
    """(rows, 1): the next tokens. logits: (rows, vocabulary). places: how many tokens each row has written.

    All rows are drawn in the same way, or none is. A row's draw is by a number between 0 and 1 that its seed and its
    place give, held against the summed probabilities of its tokens: it needs no state, and rounding changes it only
    where that number lies within rounding of a border.
    """
    import torch

    sampling = rows[0].sampling
    if sampling is None:
        return logits.argmax(dim=-1, keepdim=True)
    probabilities = (logits.cpu().double() / sampling.temperature).softmax(dim=-1)
    best, tokens = _likeliest(probabilities, sampling.top_p)
    summed = best.cumsum(dim=-1)
    # A token is out when those before it have enough.
    summed[summed - best >= sampling.top_p] = 0
    summed = summed.cummax(dim=-1).values
    chances = [[_chance(row.seed, place)] for row, place in zip(rows, places, strict=True)]
    drawn = torch.searchsorted(summed, torch.tensor(chances, dtype=summed.dtype) * summed[:, -1:], right=True)
    return tokens.gather(1, drawn.clamp(max=tokens.shape[1] - 1)).to(logits.device)


def _likeliest(probabilities: Tensor, top_p: float) -> tuple[Tensor, Tensor]:
    """The probabilities that may be drawn and whose they are: largest first, unless all may be."""
    import torch

    if top_p >= 1:
        return probabilities, torch.arange(probabilities.shape[1]).expand_as(probabilities)
    few = probabilities.topk(min(FEW, probabilities.shape[1]))
    if bool((few.values.sum(dim=-1) >= top_p).all()):
        return few.values, few.indices
    every = probabilities.sort(dim=-1, descending=True, stable=True)
    return every.values, every.indices


def _chance(seed: int, place: int) -> float:
    """Evenly spread over 0 to 1, without 1."""
    number = int.from_bytes(hashlib.sha256(f"{seed} {place}".encode()).digest()[:8], "big")
    return float((number >> (64 - CHANCE_BITS)) / 2**CHANCE_BITS)
