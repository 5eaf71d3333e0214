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
    r_group: `group_ratio`.
    r_zero: zeros among the decoder-layer Linear weights that are left, as a share.
    """
    return {
        "r_total": 1 - after.parameters / before.parameters,
        "r_block": 1 - sum(after.weights) / sum(before.weights),
        "r_ffn": 1 - sum(after.channels) / sum(before.channels),
        "r_group": group_ratio((before.channels, after.channels), (before.groups, after.groups)),
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


def group_ratio(
    channels: tuple[Sequence[int], Sequence[int]], groups: tuple[Sequence[int], Sequence[int]]
) -> float | None:
    """Mean of the removed share of channels and that of kv groups, from the first layer that lost some to the last.

    LLM-Pruner's pruning ratio (arXiv 2305.11627), whose layers at both ends stay whole. None unless both kinds were
    cut. channels, groups: of each layer, before and after; layers that lost all are no part of it.
    """
    kinds = [[(had, left) for had, left in zip(*counts, strict=True) if left] for counts in (channels, groups)]
    cut = [index for kind in kinds for index, (had, left) in enumerate(kind) if left < had]
    within = slice(min(cut, default=0), max(cut, default=0) + 1)
    shares = [1 - sum(left for _, left in kind[within]) / sum(had for had, _ in kind[within]) for kind in kinds]
    return sum(shares) / len(shares) if all(shares) else None


def zeros_in(block: Block) -> int:
    """Weights of one decoder layer that are exactly zero."""
    return block.weights - sum(int(projection.weight.count_nonzero()) for projection in block.projections)
