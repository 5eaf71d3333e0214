"""A target that no number of weights says by itself: the number is looked for, by what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from compress.anatomy.blocks import Block
from compress.errors import CompressError
from compress.planning import apportion
from compress.ratios import group_ratio
from compress.recipe import Target as Goal

TOLERANCE = 0.005
"""So near is reached."""
Sizes = tuple[list[int], list[int]]
"""(FFN channels, kv groups) that each layer keeps."""


def nearest(blocks: Sequence[Block], goal: Goal, round_to: int, sizes_by: Callable[[apportion.Target], Sizes]) -> Sizes:
    """The sizes whose ratio is nearest to the goal, of those that `sizes_by` makes of a share to remove.

    By halving. r_ffn falls where one more kv group goes and channels come back for it, but it rises by single units
    only, and between too little and too much there is always such a rise. Raises CompressError if all is too little.
    """
    total = sum(block.weights for block in blocks)
    least = min(block.channel_weights for block in blocks) / total / 2
    low, high, refusal = 0.0, 1.0, ""
    found: list[tuple[float, Sizes]] = []
    while high - low > least:
        share = (low + high) / 2
        try:
            sizes = sizes_by(_target(blocks, goal, share, round_to))
        except CompressError as error:
            high, refusal = share, f": {error}"
            continue
        found.append((reached(blocks, goal, sizes), sizes))
        low, high = (share, high) if found[-1][0] < goal.value else (low, share)
    most = max((ratio for ratio, _ in found), default=0.0)
    if not found or most < goal.value - TOLERANCE:
        raise CompressError(f"{goal.ratio} {goal.value:g} cannot be reached, {most:.4f} at most{refusal}")
    return min(found, key=lambda pair: abs(pair[0] - goal.value))[1]


def _target(blocks: Sequence[Block], goal: Goal, share: float, round_to: int) -> apportion.Target:
    if goal.ratio == "r_group":
        return apportion.apart(blocks, share, round_to)
    return apportion.target(blocks, share * sum(block.weights for block in blocks), True, round_to)


def reached(blocks: Sequence[Block], goal: Goal, sizes: Sizes) -> float:
    """r_ffn or r_group of these sizes; 0 where r_group is not defined, as where no group has gone yet."""
    channels, groups = (
        ([block.channels for block in blocks], sizes[0]),
        ([block.kv_heads for block in blocks], sizes[1]),
    )
    if goal.ratio == "r_ffn":
        return 1 - sum(channels[1]) / sum(channels[0])
    return group_ratio(channels, groups) or 0.0
