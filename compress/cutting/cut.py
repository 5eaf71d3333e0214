"""Obey a Shape: make the matrices of a model really narrower, and its list of layers shorter."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.anatomy.blocks import Block, Projection, blocks
from compress.anatomy.families import decoder_layers, table
from compress.checkpoints.layout import describe_, renew_, shorten_, sizes
from compress.checkpoints.modelling import check_groups
from compress.errors import CompressError
from compress.shape import LayerShape, Shape


def cut_(model: PreTrainedModel, shape: Shape) -> None:
    """Narrow every decoder layer to what `shape` keeps, drop those of which it keeps nothing, and tell the config.

    Raises CompressError, with the model untouched, if the shape was made for a model of other sizes, or asks for what
    the family cannot do.
    """
    check(model, shape)
    found = blocks(model)
    for index in shape.kept:
        cut_block_(found[index], shape.layers[index])
    finish_(model, shape)


def check(model: PreTrainedModel, shape: Shape) -> None:
    """Raise CompressError if the shape was made for a model of other sizes, or asks for what the family cannot do."""
    _check_sizes(blocks(model), shape)
    _check_family(model, shape)


def finish_(model: PreTrainedModel, shape: Shape) -> None:
    """Once the layers that stay are narrow: drop the others, and make the config say so."""
    if len(shape.kept) < len(shape.layers):
        drop_layers_(model, shape.kept)
    describe_(model.config, sizes(model), shape.head_dim)
    renew_(model)


def cut_block_(block: Block, layer: LayerShape) -> None:
    """Keep the rows and columns of these channels and kv groups."""
    lines = kept_lines(block, layer)
    for projection in block.projections:
        for axis in (0, 1):
            if (projection.name, axis) in lines:
                narrow_(projection, axis, lines[projection.name, axis])
    _tell_attention_(block, layer)


def _tell_attention_(block: Block, layer: LayerShape) -> None:
    """So that a layer can run right after its cut where the attention reads head counts off its config."""
    attention: Any = block.layer.get_submodule(block.attention_out.name.rpartition(".")[0])
    config = getattr(attention, "config", None)
    if config is not None and table(config.model_type).sizes_in_forward:
        attention.config = copy.copy(config)
        attention.config.num_attention_heads = layer.kept_heads
        attention.config.num_key_value_heads = attention.num_key_value_heads = len(layer.groups)


def kept_lines(block: Block, layer: LayerShape) -> dict[tuple[str, int], Tensor]:
    """(name of the projection, axis) -> ascending rows (0) or columns (1) of these channels and kv groups."""
    kept: dict[tuple[str, int], list[Tensor]] = {}
    for parts, units in ((block.group_parts, layer.groups), (block.channel_parts, layer.channels)):
        chosen = torch.tensor(units, dtype=torch.long)
        for part in parts:
            kept.setdefault((part.projection.name, part.axis), []).append(part.index[chosen].flatten())
    return {place: torch.cat(lines).sort().values for place, lines in kept.items()}


def drop_layers_(model: PreTrainedModel, kept: Sequence[int]) -> None:
    """Keep only these decoder layers, numbered anew; `describe_` has to follow."""
    stack = decoder_layers(model)
    for index in sorted(set(range(len(stack))) - set(kept), reverse=True):
        del stack[index]
    numbered: list[tuple[int, Any]] = [
        (index, module) for index, layer in enumerate(stack) for module in layer.modules()
    ]
    for index, module in numbered:
        if hasattr(module, "layer_idx"):
            module.layer_idx = index
    shorten_(model.config, kept)


def narrow_(projection: Projection, axis: int, kept: Tensor) -> None:
    """Keep only these rows (axis 0: outputs, with their biases) or columns (axis 1: inputs)."""
    module = projection.module
    if len(kept) == projection.weight.shape[axis]:
        return
    stored_axis = 1 - axis if projection.transposed else axis
    module.weight = _selected(module.weight, stored_axis, kept)
    if axis == 0 and module.bias is not None:
        module.bias = _selected(module.bias, 0, kept)
    out_name, in_name = ("nf", "nx") if projection.transposed else ("out_features", "in_features")
    setattr(module, out_name if axis == 0 else in_name, len(kept))


def _selected(parameter: Tensor, axis: int, kept: Tensor) -> nn.Parameter:
    values = parameter.detach().index_select(axis, kept.to(parameter.device))
    return nn.Parameter(values.contiguous(), requires_grad=parameter.requires_grad)


def _check_sizes(found: list[Block], shape: Shape) -> None:
    if len(found) != len(shape.layers):
        raise CompressError(f"the shape has {len(shape.layers)} layers, the model {len(found)}")
    for block, layer in zip(found, shape.layers, strict=True):
        has = (block.hidden, block.head_dim, block.channels, block.heads, block.kv_heads)
        wants = (shape.hidden, shape.head_dim, layer.intermediate, layer.heads, layer.kv_heads)
        if has != wants:
            raise CompressError(
                f"layer {block.index}: the shape was made for hidden, head_dim, channels, heads, kv heads "
                f"of {wants}, the model has {has}"
            )
        if bool(layer.channels) != bool(layer.groups):
            raise CompressError(f"layer {block.index}: dropping one sub-layer alone is not supported")


def _check_family(model: PreTrainedModel, shape: Shape) -> None:
    if any(len(shape.layers[index].groups) < shape.layers[index].kv_heads for index in shape.kept):
        check_groups(model)
    if len(shape.kept) < len(shape.layers) and getattr(model.config, "scale_attn_by_inverse_layer_idx", False):
        raise CompressError("this model scales its attention by the number of the layer, so no layer can be dropped")
