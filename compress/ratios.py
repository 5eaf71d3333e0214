"""The five ratio definitions, measured on the model before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from compress.anatomy.blocks import Block, blocks
from compress.shape import Shape


@dataclass(frozen=True)
class Counts:
    """Everything that the ratios need to know of one model."""

    parameters: int
    """Of the whole model, tied weights once."""
    weights: tuple[int, ...]
    """Linear weights of each decoder layer; biases are not counted."""
    zeros: tuple[int, ...]
    """Of those, exactly zero."""
    channels: tuple[int, ...]
    groups: tuple[int, ...]


def count(model: PreTrainedModel, zeros: Sequence[int] | None = None) -> Counts:
    """Count a model's weights, channels and groups.

    zeros: of each decoder layer, already counted; then sizes alone are read, which weights on "meta" have too.
    """
    found = blocks(model)
    return Counts(
        parameters=parameters(model),
        weights=tuple(block.weights for block in found),
        zeros=tuple(zeros_in(block) for block in found) if zeros is None else tuple(zeros),
        channels=tuple(block.channels for block in found),
        groups=tuple(block.kv_heads for block in found),
    )


def parameters(model: PreTrainedModel) -> int:
    """Of the whole model, tied weights once."""
    return sum(parameter.numel() for parameter in model.parameters())


def measure(before: Counts, after: Counts) -> dict[str, float | None]:
    """How much was removed, by five definitions that are not the same number; None where one does not apply.

    r_total: 1 - parameters after / before; embeddings and head included, tied weights counted once.
    r_block: the same over decoder-layer Linear weights only; the meaning of `sparsity`.
    r_ffn: removed FFN channels / all FFN channels.
    r_group: share of kv groups and of channels removed, in the layers that are left; None unless both were cut.
    r_zero: zeros among the decoder-layer Linear weights that are left, as a share.
    """
    return {
        "r_total": 1 - after.parameters / before.parameters,
        "r_block": 1 - sum(after.weights) / sum(before.weights),
        "r_ffn": 1 - sum(after.channels) / sum(before.channels),
        "r_group": _group_ratio(before, after),
        "r_zero": sum(after.zeros) / sum(after.weights),
    }


def aligned(after: Counts, shape: Shape) -> Counts:
    """The counts of a cut model, layer by layer of the original: nothing where a whole layer went."""

    def spread(values: tuple[int, ...]) -> tuple[int, ...]:
        left = dict(zip(shape.kept, values, strict=True))
        return tuple(left.get(index, 0) for index in range(len(shape.layers)))

    return Counts(
        parameters=after.parameters,
        weights=spread(after.weights),
        zeros=spread(after.zeros),
        channels=spread(after.channels),
        groups=spread(after.groups),
    )


def by_block(before: Counts, after: Counts) -> tuple[float, ...]:
    """Share of each decoder layer's Linear weights, of those that were not zero, that was removed or zeroed."""

    def used(counts: Counts) -> Iterator[int]:
        return (weights - zeros for weights, zeros in zip(counts.weights, counts.zeros, strict=True))

    return tuple(1 - left / had for had, left in zip(used(before), used(after), strict=True))


def _group_ratio(before: Counts, after: Counts) -> float | None:
    """Mean of the removed shares of kv groups and of channels, over the layers left in which both were cut."""
    shares = []
    for index in (index for index, left in enumerate(after.weights) if left):
        channels = 1 - after.channels[index] / before.channels[index]
        groups = 1 - after.groups[index] / before.groups[index]
        if channels > 0 and groups > 0:
            shares.append((channels + groups) / 2)
        elif channels > 0 or groups > 0:
            return None
    return sum(shares) / len(shares) if shares else None


def zeros_in(block: Block) -> int:
    """Weights of one decoder layer that are exactly zero."""
    return block.weights - sum(int(projection.weight.count_nonzero()) for projection in block.projections)
