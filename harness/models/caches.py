"""Keys and values that a model keeps of the tokens it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache, PreTrainedModel
    from transformers.cache_utils import DynamicLayer


def empty(model: PreTrainedModel) -> DynamicCache:
    """A cache for this model."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def can_be_parted(model: PreTrainedModel) -> bool:
    """Whether every layer keeps every token, so that rows can be cut, dropped and joined.

    A layer with a sliding window or a running state forgets, and cannot go on after a gap of padding.
    """
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in empty(model).layers)


def layers(cache: DynamicCache) -> list[DynamicLayer]:
    """Of a cache that can be parted."""
    from transformers.cache_utils import DynamicLayer

    return [layer for layer in cache.layers if isinstance(layer, DynamicLayer)]


def parts(layer: DynamicLayer) -> tuple[Tensor, Tensor]:
    """Keys and values, (rows, heads, tokens, size), of a layer that has some."""
    assert layer.keys is not None
    assert layer.values is not None
    return layer.keys, layer.values


def crop_(cache: DynamicCache, tokens: int) -> None:
    """Keep the first `tokens`. Layer by layer: a pass that ran out of memory has gone through some of them only."""
    for layer in layers(cache):
        layer.crop(tokens - layer.get_seq_length())
