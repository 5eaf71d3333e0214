"""CFSP: coarse-to-fine structured pruning of FFN channels by activations (arXiv 2409.13199), in one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from compress.planning.columns import column_scores

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block
    from compress.calibration.stats import BlockStats


@dataclass(frozen=True)
class Cfsp:
    """Coarse: layers that turn the residual stream more keep more (`budgets.cfsp`). Fine: weights x activations.

    score: "paper" is a reconstruction of Eq. 8, whose norms could not be verified: every projection is
    normalised across channels. "released" is what the authors' code computes, where each channel's weights cancel.
    attention: remove whole kv groups too, by the Wanda score (arXiv 2306.11695) over o_proj's columns; an extension,
    the paper leaves attention alone.

    Difference from the released code: widths meet the target as a whole (`apportion.widths`).
    """

    score: Literal["paper", "released"] = "paper"
    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    removes: ClassVar[Literal["width"]] = "width"
    needs: ClassVar[frozenset[str]] = frozenset({"activations"})
    budget: ClassVar[str] = "cfsp"

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """F_i * A_i, with A_i the norm of channel i's activations."""
        activation = stats.seen(block.mlp_out.name).norms
        if self.score == "released":
            return released_scores(block, activation)
        return paper_scores(block, activation)

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Mean over rows of |W| times the column's activation norm, summed over the group's columns of o_proj."""
        return column_scores(block.attention_out, stats).view(block.kv_heads, -1).sum(dim=1)


def paper_scores(block: Block, activation: Tensor) -> Tensor:
    """F_i * A_i with F_i = sum_j of |Wd_ji| A_i, |Wu_ij| and |Wg_ij|, each divided by its sum over channels.

    activation: (channels,). Returns (channels,), float64.
    """
    *readers, down = (part.weight.double().abs().squeeze(1).T for part in block.channel_parts)
    return sum((_shares(part) for part in readers), _shares(down * activation)) * activation


def released_scores(block: Block, activation: Tensor) -> Tensor:
    """3 / hidden * A_i: each channel's weights are divided by their own sum, so only the activation is left.

    The released code raises A_i to a power, which changes no rank.
    """
    return 3.0 / block.hidden * activation


def _shares(weight: Tensor) -> Tensor:
    """weight: (hidden, channels), not negative. Returns (channels,): shares of each row, summed over the rows."""
    rows = weight.sum(dim=1, keepdim=True)
    return (weight / rows.where(rows != 0, rows.new_ones(()))).sum(dim=0)
