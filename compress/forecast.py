"""What a Shape comes to before anything is cut: sizes, ratios, parameters and bytes."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from compress import ratios
from compress.blocks import Block, blocks
from compress.cut import cut_
from compress.shape import LayerShape, Shape


@dataclass(frozen=True)
class Forecast:
    """A model before and after a cut that was not made yet."""

    removed: tuple[float, ...]
    """Share of each decoder layer's Linear weights that goes."""
    ratios: dict[str, float | None]
    """As `ratios.measure` has them; r_zero, which a shape does not say, is None."""
    parameters: tuple[int, int]
    weights_bytes: tuple[int, int]
    """Size of the weight files."""


def forecast(model: PreTrainedModel, shape: Shape) -> Forecast:
    """Cut a copy that has sizes but no weights. Raises CompressError if the shape is not one of this model."""
    after_model = weightless(model)
    cut_(after_model, shape)
    found = blocks(model)
    before, after = _size(model), _size(after_model)
    had = ratios.Counts(
        parameters=before[0],
        weights=tuple(block.weights for block in found),
        zeros=(0,) * len(found),
        channels=tuple(block.channels for block in found),
        groups=tuple(block.kv_heads for block in found),
    )
    left = ratios.Counts(
        parameters=after[0],
        weights=tuple(_weights(block, layer) for block, layer in zip(found, shape.layers, strict=True)),
        zeros=had.zeros,
        channels=tuple(len(layer.channels) for layer in shape.layers),
        groups=tuple(len(layer.groups) for layer in shape.layers),
    )
    return Forecast(
        removed=ratios.by_block(had, left),
        ratios={**ratios.measure(had, left), "r_zero": None},
        parameters=(before[0], after[0]),
        weights_bytes=(before[1], after[1]),
    )


def weightless(model: PreTrainedModel) -> PreTrainedModel:
    """A copy on the meta device; weights that were tied stay tied."""
    memo = {id(weight): nn.Parameter(weight.detach().to("meta"), weight.requires_grad) for weight in model.parameters()}
    return copy.deepcopy(model, memo)


def _size(model: PreTrainedModel) -> tuple[int, int]:
    """(parameters, bytes), tied weights once."""
    weights = list(model.parameters())
    return sum(weight.numel() for weight in weights), sum(weight.numel() * weight.element_size() for weight in weights)


def _weights(block: Block, layer: LayerShape) -> int:
    return len(layer.channels) * block.channel_weights + len(layer.groups) * block.group_weights
