"""Fill a pruned model up with zeros to equal layers: the same function, for tools that know only stock models."""

from __future__ import annotations

import copy

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from compress.anatomy.blocks import Block, Projection, block_of, blocks
from compress.anatomy.families import family
from compress.checkpoints import layout
from compress.checkpoints.modelling import stock_layer
from compress.cutting.cut import kept_lines
from compress.errors import CompressError
from compress.shape import LayerShape, Shape

NOTE = "padded: zeros fill the layers up to equal sizes, and are stored and multiplied: no speed-up"


def padded(model: PreTrainedModel, shape: Shape) -> tuple[PreTrainedConfig, dict[str, Tensor]]:
    """Config and state dict of a stock model that gives the same logits; the model is left as it is.

    shape: of the cut; the widest layer before it is the width of all. Raises CompressError if no stock class fits.
    """
    if biases := layout.added_biases(model):
        raise CompressError(
            f"layout padded: compensation gave {len(biases)} projections a bias that the stock class has not; "
            "take layout auto"
        )
    config = copy.deepcopy(model.config)
    found = blocks(model)
    layout.describe_(config, [_widest(model, shape)] * len(found), shape.head_dim)
    config = layout.acceptable(config)
    weights = model.state_dict()
    table = family(model)
    for block in found:
        wide = block_of(block.index, stock_layer(config, block), table, block.head_dim)
        for name, tensor in _filled(block, wide).items():
            weights[f"{table.layers}.{block.index}.{name}"] = tensor
    return config, weights


def _widest(model: PreTrainedModel, shape: Shape) -> layout.Sizes:
    """The largest of what the layers have, had before the cut, and of what the config says of the whole model."""
    kind = model.config.model_type
    known = [
        *layout.sizes(model),
        *(layout.layer_sizes(kind, layer.intermediate, layer.heads, layer.kv_heads) for layer in shape.layers),
    ]
    stock = {key: getattr(model.config, key) or 0 for key in known[0]}
    return {key: max(sizes[key] for sizes in (stock, *known)) for key in stock}


def _filled(block: Block, wide: Block) -> dict[str, Tensor]:
    """Weights and biases of a layer at the sizes of `wide`: its own units first, then zeros."""
    units = LayerShape(
        tuple(range(block.channels)), tuple(range(block.kv_heads)), wide.channels, wide.heads, wide.kv_heads
    )
    lines = kept_lines(wide, units)
    filled = {}
    for projection, room in zip(block.projections, wide.projections, strict=True):
        rows, columns = lines.get((projection.name, 0)), lines.get((projection.name, 1))
        weight = _spread(_spread(projection.weight, 0, rows, room), 1, columns, room)
        filled[f"{projection.name}.weight"] = weight.T if projection.transposed else weight
        if projection.module.bias is not None:
            filled[f"{projection.name}.bias"] = _spread(projection.module.bias.detach(), 0, rows, room)
    return filled


def _spread(values: Tensor, axis: int, lines: Tensor | None, room: Projection) -> Tensor:
    """`values` at these lines of zeros as many as `room` has along the axis; as they are where `lines` is None."""
    if lines is None:
        return values
    size = list(values.shape)
    size[axis] = room.weight.shape[axis]
    return values.new_zeros(size).index_copy(axis, lines.to(values.device), values)
