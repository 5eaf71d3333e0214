"""Obey a Shape: make the matrices of a model really narrower."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.errors import CompressError
from compress.families import Block, blocks
from compress.layout import describe_, sizes
from compress.masks import spread
from compress.shape import LayerShape, Shape


def cut_(model: PreTrainedModel, shape: Shape) -> None:
    """Narrow every decoder layer to what `shape` keeps, and make the config say so.

    Raises CompressError, with the model untouched, if the shape was made for a model of other sizes.
    """
    found = blocks(model)
    _check(found, shape)
    for block, layer in zip(found, shape.layers, strict=True):
        cut_mlp_(block, layer)
        cut_attention_(block, layer)
    describe_(model.config, sizes(model), shape.head_dim)


def cut_mlp_(block: Block, layer: LayerShape) -> None:
    """Keep these rows of gate and up, and the same columns of down."""
    kept = torch.tensor(layer.channels, dtype=torch.long)
    narrow_(block.gate, rows=kept)
    narrow_(block.up, rows=kept)
    narrow_(block.mlp_out, columns=kept)


def cut_attention_(block: Block, layer: LayerShape) -> None:
    """Keep these groups' rows of q, k and v, and their columns of o."""
    keys = spread(layer.groups, block.head_dim)
    queries = spread(layer.groups, block.head_dim * (layer.heads // layer.kv_heads))
    narrow_(block.queries, rows=queries)
    narrow_(block.keys, rows=keys)
    narrow_(block.values, rows=keys)
    narrow_(block.attention_out, columns=queries)


def narrow_(linear: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    """Keep only these rows (outputs, with their biases) and columns (inputs) of a Linear."""
    if rows is not None and len(rows) < linear.out_features:
        linear.weight = _selected(linear.weight, 0, rows)
        if linear.bias is not None:
            linear.bias = _selected(linear.bias, 0, rows)
        linear.out_features = len(rows)
    if columns is not None and len(columns) < linear.in_features:
        linear.weight = _selected(linear.weight, 1, columns)
        linear.in_features = len(columns)


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
