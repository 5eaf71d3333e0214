"""Compensate by a bias: what the removed channels and kv groups put out on average stays."""

from __future__ import annotations

from torch import Tensor

from compress.anatomy.blocks import Block, Part
from compress.calibration.stats import BlockStats
from compress.checkpoints import layout
from compress.shape import LayerShape


def add_bias_(block: Block, layer: LayerShape, stats: BlockStats) -> None:
    """Move what goes, taken as constant, into the biases of mlp_out and attention_out; to be called before the cut.

    FLAP (arXiv 2312.11983): bias += W[:, gone] mean(x[gone]). A projection that loses nothing is left as it is.
    stats: with "activations".
    """
    for part, kept in ((block.channel_parts[-1], layer.channels), (block.group_parts[-1], layer.groups)):
        gone = removed_columns(part, kept)
        if len(gone):
            projection = part.projection
            missing = projection.weight[:, gone].double() @ stats.seen(projection.name).means[gone]
            layout.add_bias_(projection)
            projection.module.bias.data += missing.to(projection.weight.dtype)


def removed_columns(part: Part, kept: tuple[int, ...]) -> Tensor:
    """Ascending columns of the units that do not stay."""
    units = sorted(set(range(len(part.index))) - set(kept))
    return part.index[units].flatten()
