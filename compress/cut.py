"""Obey a Shape: make the matrices of a model really narrower, and its list of layers shorter."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.blocks import Block, Part, Projection, blocks
from compress.errors import CompressError
from compress.layout import describe_, sizes
from compress.shape import LayerShape, Shape


def cut_(model: PreTrainedModel, shape: Shape) -> None:
    """Narrow every decoder layer to what `shape` keeps, and make the config say so.

    Raises CompressError, with the model untouched, if the shape was made for a model of other sizes.
    """
    found = blocks(model)
    _check(found, shape)
    for block, layer in zip(found, shape.layers, strict=True):
        cut_block_(block, layer)
    describe_(model.config, sizes(model), shape.head_dim)


def cut_block_(block: Block, layer: LayerShape) -> None:
    """Keep the rows and columns of these channels and kv groups."""
    kept: dict[tuple[str, int], list[Tensor]] = {}
    for part, units in _units(block, layer):
        kept.setdefault((part.projection.name, part.axis), []).append(part.index[units].flatten())
    for projection in block.projections:
        for axis in (0, 1):
            lines = kept.get((projection.name, axis))
            if lines is not None:
                narrow_(projection, axis, torch.cat(lines).sort().values)


def _units(block: Block, layer: LayerShape) -> Iterable[tuple[Part, Tensor]]:
    for parts, units in ((block.group_parts, layer.groups), (block.channel_parts, layer.channels)):
        kept = torch.tensor(units, dtype=torch.long)
        for part in parts:
            yield part, kept


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


def _check(found: list[Block], shape: Shape) -> None:
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
        if not layer.channels or not layer.groups:
            raise CompressError(f"layer {block.index}: dropping a whole sub-layer is not supported")
