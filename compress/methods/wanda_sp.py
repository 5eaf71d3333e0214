"""Wanda-sp: the structured form of Wanda (arXiv 2306.11695) that FLAP's authors compare with (arXiv 2312.11983)."""

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
class WandaSp:
    """Mean over rows of |W_ji| times the norm of input i: columns of mlp_out, and groups' columns of attention_out.

    Differences from the released code: it calibrates every layer on the outputs of the layers already cut, and takes
    query heads, not kv groups. Here one calibration of the original serves all layers.
    """

    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    removes: ClassVar[Literal["width"]] = "width"
    needs: ClassVar[frozenset[str]] = frozenset({"activations"})
    budget: ClassVar[str] = "uniform"

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Of the columns of mlp_out."""
        return column_scores(block.mlp_out, stats)

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Summed over the group's columns of attention_out."""
        return column_scores(block.attention_out, stats).view(block.kv_heads, -1).sum(dim=1)
