"""LLM-Pruner's rule (arXiv 2305.11627): the same share in the middle layers, the first and the last stay whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from compress.budgets import Layer, Shares
from compress.errors import CompressError

if TYPE_CHECKING:
    from compress.anatomy.blocks import Block
    from compress.planning.apportion import Target


@dataclass(frozen=True)
class LlmPruner:
    """first, last: how many layers stay whole at either end.

    auto: 4/32 and 2/32 of the depth, rounded, as in the recipes for LLaMA-7B.
    """

    first: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    last: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"

    needs: ClassVar[frozenset[str]] = frozenset()

    def shares(self, layers: Sequence[Layer], target: Target) -> Shares:
        """1 outside the middle. Raises CompressError if the middle cannot carry the sparsity, saying what it can."""
        from compress.planning import apportion

        depth = len(layers)
        first, last = _count(self.first, 4, depth), _count(self.last, 2, depth)
        found = [layer.block for layer in layers]
        middle = found[first : depth - last]
        _check(middle, found, target, f"with the first {first} and the last {last} of {depth} layers kept whole")

        removable = sum(block.channels * block.channel_weights for block in middle)
        if target.attention:
            removable += sum(block.kv_heads * block.group_weights for block in middle)
        groups = _spread(1.0 - target.weights / removable, first, last, depth)
        counts = apportion.groups(found, groups, target)
        # Whole groups are coarse, so the channels of the middle, and of no other layer, make up for them.
        by_groups = sum(
            (block.kv_heads - kept) * block.group_weights for block, kept in zip(found, counts, strict=True)
        )
        channels = sum(block.channels * block.channel_weights for block in middle)
        return Shares(_spread(1.0 - (target.weights - by_groups) / channels, first, last, depth), groups)


def _count(given: int | Literal["auto"], of_32: int, depth: int) -> int:
    return round(of_32 * depth / 32) if given == "auto" else given


def _spread(share: float, first: int, last: int, depth: int) -> list[float]:
    """The share in the middle, 1 at both ends."""
    return [1.0] * first + [max(share, 0.0)] * (depth - first - last) + [1.0] * last


def _check(middle: Sequence[Block], found: Sequence[Block], target: Target, kept: str) -> None:
    most = sum((block.channels - min(target.round_to, block.channels)) * block.channel_weights for block in middle)
    if target.attention:
        most += sum((block.kv_heads - 1) * block.group_weights for block in middle)
    if not middle or target.weights > most + target.round_to * found[0].channel_weights / 2:
        total = sum(block.weights for block in found)
        raise CompressError(
            f"budget llm_pruner: sparsity {target.weights / total:g} cannot be reached {kept}: "
            f"at most {most / total:.4f} can go; lower 'first' or 'last', or take another budget"
        )
