"""Greedy decoding of many token rows through transformers' own `generate`; knows nothing of text.

What all rows begin with is computed once, and a row that is finished is computed no further.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, GenerationConfig

    from harness.models import LoadedModel

STRIDE = 8
"""New tokens between two looks at which rows are finished."""


@dataclass(frozen=True)
class Row:
    """Tokens to continue, and how many to write at most."""

    tokens: list[int]
    new_tokens: int


@dataclass(frozen=True)
class Beginning:
    """What all rows begin with, perhaps nothing, and its keys and values."""

    tokens: list[int]
    cache: DynamicCache | None
    """None: the cache of this model cannot be taken apart, so nothing is shared and no row is dropped."""


@dataclass(frozen=True)
class Written:
    """What followed each row, its end token included; `broken` are the rows whose logits were NaN."""

    rows: list[list[int]]
    broken: set[int]


@dataclass
class _Watch:
    """A logits processor that changes nothing and notes where logits were NaN."""

    rows: list[int]
    """Which rows of the batch are being computed."""
    broken: set[int] = field(default_factory=set)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        places = scores.isnan().any(dim=-1).nonzero().flatten().tolist()
        self.broken.update(self.rows[place] for place in places)
        return scores


def shared_beginning(loaded: LoadedModel, rows: Sequence[Row], shortest: int) -> Beginning:
    """The longest beginning common to all rows, computed if it has at least `shortest` tokens.

    Every row keeps a token of its own.
    """
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    cache = DynamicCache(config=loaded.model.config)
    # A layer with a window or a running state cannot go on after a gap of padding.
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        return Beginning([], None)
    if len(rows) < 2:
        return Beginning([], cache)
    # What the first and the last in order have in common, all in between have too.
    first, last = min(row.tokens for row in rows), max(row.tokens for row in rows)
    most = min(len(row.tokens) for row in rows) - 1
    length = next((i for i in range(most) if first[i] != last[i]), most)
    if length < shortest:
        return Beginning([], cache)
    with torch.inference_mode():
        loaded.model(torch.tensor([first[:length]], device=loaded.device), cache=cache, logits_to_keep=1)
    return Beginning(first[:length], cache)


def written(loaded: LoadedModel, rows: Sequence[Row], beginning: Beginning) -> Written:
    """Continue rows that all begin with `beginning`, greedily, each to its end token or its limit.

    `generate` itself computes finished rows on, so it is called for a few steps at a time and goes on without them.
    Plain greedy: what a checkpoint says of sampling or repetition is overruled, its end tokens are not.
    """
    import torch
    from transformers import LogitsProcessorList

    tokens, mask = (tensor.to(loaded.device) for tensor in _padded(rows, len(beginning.tokens), _pad(loaded)))
    width = tokens.shape[1]
    cache = copy.deepcopy(beginning.cache)
    if cache is not None and beginning.tokens:
        cache.batch_repeat_interleave(len(rows))
    ends = end_tokens(loaded)
    found: list[list[int]] = [[] for _ in rows]
    watch = _Watch(list(range(len(rows))))
    while watch.rows:
        left = max(rows[number].new_tokens for number in watch.rows) + width - tokens.shape[1]
        with torch.inference_mode():
            tokens = loaded.model.generate(  # type: ignore[operator]
                tokens,
                attention_mask=mask,
                cache=cache,
                generation_config=_greedy(loaded, left if cache is None else min(left, STRIDE)),
                logits_processor=LogitsProcessorList([watch]),
            )
        for number, new in zip(watch.rows, tokens[:, width:].tolist(), strict=True):
            found[number] = _until_end(new[: rows[number].new_tokens], ends)
        if cache is None:
            break
        going = [
            place
            for place, number in enumerate(watch.rows)
            if len(found[number]) < rows[number].new_tokens and found[number][-1] not in ends
        ]
        watch.rows = [watch.rows[place] for place in going]
        chosen = torch.tensor(going, dtype=torch.long, device=tokens.device)
        mask = torch.nn.functional.pad(mask, (0, tokens.shape[1] - mask.shape[1]), value=1)[chosen]
        tokens = tokens[chosen]
        cache.batch_select_indices(chosen)
    return Written(found, watch.broken)


def end_tokens(loaded: LoadedModel) -> list[int]:
    """Tokens that end an answer: of the generation config, or else of the tokenizer."""
    config = loaded.model.generation_config
    ends = config.eos_token_id if config is not None else None
    if ends is None:
        ends = loaded.tokenizer.eos_token_id
    if ends is None:
        return []
    return list(ends) if isinstance(ends, (list, tuple)) else [int(ends)]


def _until_end(new: list[int], ends: Sequence[int]) -> list[int]:
    """Up to and with the first end token."""
    return new[: next((place for place, token in enumerate(new) if token in ends), len(new)) + 1]


def _padded(rows: Sequence[Row], shared: int, pad: int) -> tuple[Tensor, Tensor]:
    """Tokens and attention mask, (rows, width): the shared beginning, then padding, then what is a row's own."""
    import torch

    width = max(len(row.tokens) for row in rows)
    tokens = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        own = width - len(row.tokens) + shared
        tokens[number, :shared] = torch.tensor(row.tokens[:shared], dtype=torch.long)
        tokens[number, own:] = torch.tensor(row.tokens[shared:])
        mask[number, :shared] = mask[number, own:] = 1
    return tokens, mask


def _pad(loaded: LoadedModel) -> int:
    """Any token will do: what is padded is masked."""
    pad = loaded.tokenizer.pad_token_id
    return int(pad) if pad is not None else (end_tokens(loaded) or [0])[0]


def _greedy(loaded: LoadedModel, new_tokens: int) -> GenerationConfig:
    from transformers import GenerationConfig

    return GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=new_tokens,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=end_tokens(loaded) or None,
        pad_token_id=_pad(loaded),
    )
