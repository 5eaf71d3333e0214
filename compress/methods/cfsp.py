"""CFSP: coarse-to-fine structured pruning of FFN channels by activations (arXiv 2409.13199), in one forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import Field

from compress.errors import CompressError

if TYPE_CHECKING:
    from torch import Tensor

    from compress.calibration import BlockStats, Stats
    from compress.families import Block

T = TypeVar("T")

STEEPNESS = 13.1072
"""128 windows x 1024 tokens / 10,000: what the released code's sum of angles comes to, per mean angle."""


@dataclass(frozen=True)
class Cfsp:
    """Coarse: layers that turn the residual stream more keep more. Fine: weights x activations rank the channels.

    score: "paper" is a reconstruction of Eq. 8, whose norms could not be verified: every projection is
    normalised across channels. "released" is what the authors' code computes, where each channel's weights cancel.
    attention: remove whole kv groups too, by the Wanda score (arXiv 2306.11695) over o_proj's columns; an extension,
    the paper leaves attention alone.

    Differences from the released code: the allocation reads the mean angle, not a sum over tokens, so it does not
    depend on how much text was read; cosines are clamped; widths meet the target as a whole (`budget.widths`).
    """

    score: Literal["paper", "released"] = "paper"
    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    @property
    def needs(self) -> frozenset[str]:
        """Angles for the coarse part, channels (and heads) for the fine part."""
        return frozenset({"angles", "channels", *(["heads"] if self.attention else [])})

    def keep_shares(self, stats: Stats, removed: float) -> list[float]:
        """See `allocation`."""
        return allocation([_seen(block.angle) for block in stats.blocks], removed)

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """F_i * A_i, with A_i the norm of channel i's activations."""
        activation = _seen(stats.channel_squares).sqrt()
        if self.score == "released":
            return released_scores(block, activation)
        return paper_scores(block, activation)

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Mean over rows of |W| times the column's activation norm, summed over the group's columns of o_proj."""
        weight = block.attention_out.weight.detach().double().abs()
        columns = weight.mean(dim=0) * _seen(stats.head_squares).sqrt()
        return columns.view(block.kv_heads, -1).sum(dim=1)


def allocation(angles: list[float], removed: float) -> list[float]:
    """The share of FFN channels that each layer keeps: a centred sigmoid of its mean angle, scaled to the budget.

    angles: in units of pi. removed: p. The mean is 1 - p. Where the largest would reach 1, all deviations shrink
    until it is (1 - p) + p / 1.05.
    """
    if removed == 0:
        return [1.0] * len(angles)
    mean = math.fsum(angles) / len(angles)
    raw = [1.0 / (1.0 + math.exp(-STEEPNESS * (angle - mean))) for angle in angles]
    middle, highest = math.fsum(raw) / len(raw), max(raw)
    if highest / middle * (1.0 - removed) >= 1.0:
        shrink = middle * (1.0 / (1.0 - removed) - 1.0) / (highest - middle) / 1.05
        raw = [middle + (value - middle) * shrink for value in raw]
    middle = math.fsum(raw) / len(raw)
    return [value / middle * (1.0 - removed) for value in raw]


def paper_scores(block: Block, activation: Tensor) -> Tensor:
    """F_i * A_i with F_i = sum_j of |Wd_ji| A_i, |Wu_ij| and |Wg_ij|, each divided by its sum over channels.

    activation: (channels,). Returns (channels,), float64.
    """
    down = block.mlp_out.weight.detach().double().abs() * activation
    up = block.up.weight.detach().double().abs().T
    gate = block.gate.weight.detach().double().abs().T
    return sum((_shares(part) for part in (up, gate)), _shares(down)) * activation


def released_scores(block: Block, activation: Tensor) -> Tensor:
    """3 / hidden * A_i: each channel's weights are divided by their own sum, so only the activation is left.

    The released code raises A_i to a power, which changes no rank.
    """
    return 3.0 / block.hidden * activation


def _shares(weight: Tensor) -> Tensor:
    """weight: (hidden, channels), not negative. Returns (channels,): shares of each row, summed over the rows."""
    rows = weight.sum(dim=1, keepdim=True)
    return (weight / rows.where(rows != 0, rows.new_ones(()))).sum(dim=0)


def _seen(value: T | None) -> T:
    if value is None:
        raise CompressError("cfsp: the calibration did not gather what this method needs")
    return value
