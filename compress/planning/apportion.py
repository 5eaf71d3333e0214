"""Shares of a budget rule -> how many whole FFN channels and kv groups each layer keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compress.anatomy.blocks import Block
from compress.errors import CompressError
from compress.recipe import Target as Goal


@dataclass(frozen=True)
class Target:
    """What to remove, in shares of the weights.

    removed: share of the removable units that has to go; the argument of the budget rules.
    """

    removed: float
    weights: float
    """Decoder-layer Linear weights to remove."""
    attention: bool
    """Whether kv groups may go too."""
    round_to: int
    apart: bool = False
    """Whether channels and kv groups have to lose the share `removed` each, instead of `weights` together."""


def weights(blocks: Sequence[Block], goal: Goal, parameters: int, attention: bool) -> float | None:
    """Decoder-layer Linear weights to remove for a goal; None where the goal does not say it by itself.

    parameters: of the whole model.
    """
    if goal.ratio == "r_group" or (goal.ratio == "r_ffn" and attention):
        return None
    whole = {
        "r_block": sum(block.weights for block in blocks),
        "r_total": parameters,
        "r_ffn": sum(block.channels * block.channel_weights for block in blocks),
    }
    return goal.value * whole[goal.ratio]


def target(blocks: Sequence[Block], weights: float, attention: bool, round_to: int) -> Target:
    """Translate a number of decoder-layer Linear weights to remove into the share of the removable ones.

    Raises CompressError when so much cannot be removed, saying how much can.
    """
    total = sum(block.weights for block in blocks)
    channels = sum(block.channels * block.channel_weights for block in blocks)
    heads = sum(block.kv_heads * block.group_weights for block in blocks)
    floors = sum(min(round_to, block.channels) * block.channel_weights for block in blocks)
    most = channels - floors
    if attention:
        most += heads - sum(block.group_weights for block in blocks)
    if weights > most + round_to * blocks[0].channel_weights / 2:
        what = "FFN channels and kv groups" if attention else "FFN channels"
        raise CompressError(
            f"sparsity {weights / total:g} cannot be reached: removing {what} only, "
            f"at most {math.floor(1e4 * most / total) / 1e4:g} of this model's decoder-layer weights can go"
        )
    removable = channels + heads if attention else channels
    return Target(min(1.0, weights / removable), weights, attention, round_to)


def apart(blocks: Sequence[Block], share: float, round_to: int) -> Target:
    """The same share of channels and of kv groups, each by itself."""
    removable = sum(block.channels * block.channel_weights + block.kv_heads * block.group_weights for block in blocks)
    return Target(share, share * removable, True, round_to, apart=True)


def groups(blocks: Sequence[Block], keep: Sequence[float], target: Target) -> list[int]:
    """kv groups that each layer keeps; at least one.

    Whole groups are coarse, so in all no more groups go than their share; the FFN, which is fine, takes the rest. Where
    each kind loses its share by itself, as many go as come nearest.
    """
    counts = [block.kv_heads for block in blocks]
    if not target.attention:
        return counts
    if target.apart:
        ideal = [share * count for share, count in zip(keep, counts, strict=True)]
        return apportion(ideal, counts, 1, (1.0 - target.removed) * sum(counts))
    cost = sum(block.group_weights for block in blocks) / len(blocks)
    ffn = sum((block.channels - min(target.round_to, block.channels)) * block.channel_weights for block in blocks)
    least = math.ceil((target.weights - ffn) / cost)
    wanted = sum((1.0 - share) * count for share, count in zip(keep, counts, strict=True))
    gone = max(math.floor(wanted + 1e-9), least, 0)
    kept = max(sum(counts) - gone, len(blocks))
    return apportion([share * count for share, count in zip(keep, counts, strict=True)], counts, 1, kept)


def widths(blocks: Sequence[Block], keep: Sequence[float], groups: Sequence[int], target: Target) -> list[int]:
    """FFN channels that each layer keeps, so that the whole hits the target within one unit of `round_to`.

    A deliberate difference from the papers, which round every layer by itself and drift from what was asked.
    """
    limits = [block.channels for block in blocks]
    pairs = zip(blocks, groups, strict=True)
    by_groups = sum((block.kv_heads - kept) * block.group_weights for block, kept in pairs)
    kept = sum(limits) - (target.weights - by_groups) / blocks[0].channel_weights
    if target.apart:
        kept = (1.0 - target.removed) * sum(limits)
    ideal = [share * limit for share, limit in zip(keep, limits, strict=True)]
    return apportion(ideal, limits, target.round_to, kept)


def equal(blocks: Sequence[Block], target: Target) -> tuple[int, int]:
    """(FFN channels, kv groups) that every layer keeps when all have to be equal, nearest to the target.

    Raises CompressError if the layers are not equal to begin with.
    """
    first = blocks[0]
    if any((block.channels, block.kv_heads) != (first.channels, first.kv_heads) for block in blocks):
        raise CompressError("layers of this model already differ, so they cannot all lose the same")
    each = target.weights / len(blocks)
    unit = min(target.round_to, first.channels)
    gone = 0
    if target.apart:
        gone = min(round(target.removed * first.kv_heads), first.kv_heads - 1)
        each = target.removed * first.channels * first.channel_weights + gone * first.group_weights
    elif target.attention:
        least = math.ceil((each - (first.channels - unit) * first.channel_weights) / first.group_weights)
        gone = min(max(math.floor(target.removed * first.kv_heads + 1e-9), least, 0), first.kv_heads - 1)
    kept = first.channels - (each - gone * first.group_weights) / first.channel_weights
    width = target.round_to * math.floor(kept / target.round_to + 0.5)
    return min(max(width, unit), first.channels), first.kv_heads - gone


def apportion(ideal: Sequence[float], limits: Sequence[int], unit: int, total: float) -> list[int]:
    """Multiples of `unit` near `ideal` whose sum is within half a unit of `total`, where the limits allow it.

    Floor to a multiple, then largest remainder. Every count is in [unit, limit]; a limit itself is allowed even if
    it is no multiple, and so is a limit below `unit`.
    """
    pairs = list(zip(ideal, limits, strict=True))
    counts = [min(limit, max(unit, unit * math.floor(want / unit + 1e-9))) for want, limit in pairs]
    while total - sum(counts) >= unit / 2:
        room = [index for index, limit in enumerate(limits) if counts[index] < limit]
        if not room:
            break
        index = max(room, key=lambda i: ideal[i] - counts[i])
        counts[index] = min(limits[index], counts[index] + unit)
    while sum(counts) - total > unit / 2:
        room = [index for index in range(len(counts)) if counts[index] > unit]
        if not room:
            break
        index = max(room, key=lambda i: counts[i] - ideal[i])
        counts[index] = (counts[index] - 1) // unit * unit
    return counts
