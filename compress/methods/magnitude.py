"""Magnitude: remove what has the smallest weights. No data; the usual baseline.

It does not beat `random` on SmolLM2-135M; docs/compression.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

    from compress.calibration import BlockStats, Stats
    from compress.families import Block


@dataclass(frozen=True)
class Magnitude:
    """L2 norm over all weights that a channel or a kv group takes along; the same share in every layer."""

    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    needs: ClassVar[frozenset[str]] = frozenset()

    def keep_shares(self, stats: Stats, removed: float) -> list[float]:
        """Uniform."""
        return [1.0 - removed] * len(stats.blocks)

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over a row of gate and up and a column of down."""
        squares = _squares(block.gate.weight) + _squares(block.up.weight) + _squares(block.mlp_out.weight.T)
        return squares.sqrt()

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over the rows of q, k, v and the columns of o."""
        parts = (block.queries.weight, block.keys.weight, block.values.weight, block.attention_out.weight.T)
        squares = [_squares(part).view(block.kv_heads, -1).sum(dim=1) for part in parts]
        return sum(squares[1:], squares[0]).sqrt()


def _squares(weight: Tensor) -> Tensor:
    """weight: (n, m). Returns (n,) sums of squares, in float64."""
    return weight.detach().double().square().sum(dim=1)
