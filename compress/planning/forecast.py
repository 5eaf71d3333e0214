"""What a Shape comes to before anything is cut: sizes, ratios, parameters and bytes."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from compress import ratios
from compress.cutting.cut import cut_
from compress.shape import Shape


@dataclass(frozen=True)
class Forecast:
    """A model before and after a cut that was not made yet; biases that compensation adds are not counted."""

    removed: tuple[float, ...]
    """Share of each decoder layer's Linear weights that goes."""
    ratios: dict[str, float | None]
    """As `ratios.measure` has them; r_zero, which a shape does not say, is None."""
    parameters: tuple[int, int]
    weights_bytes: tuple[int, int]
    """Size of the weight files."""


def forecast(model: PreTrainedModel, shape: Shape) -> Forecast:
    """Cut a copy that has sizes but no weights. Raises CompressError if the shape is not one of this model."""
    copied = weightless(model)
    cut_(copied, shape)
    before = ratios.count(model, zeros=[0] * len(shape.layers))
    after = ratios.aligned(ratios.count(copied, zeros=[0] * len(shape.kept)), shape)
    return Forecast(
        removed=ratios.by_block(before, after),
        ratios={**ratios.measure(before, after), "r_zero": None},
        parameters=(before.parameters, after.parameters),
        weights_bytes=(_bytes(model), _bytes(copied)),
    )


def weightless(model: PreTrainedModel) -> PreTrainedModel:
    """A copy on the meta device; weights that were tied stay tied."""
    memo = {id(weight): nn.Parameter(weight.detach().to("meta"), weight.requires_grad) for weight in model.parameters()}
    return copy.deepcopy(model, memo)


def _bytes(model: PreTrainedModel) -> int:
    """Of all weights, tied ones once."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())
