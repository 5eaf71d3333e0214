"""Magnitude: remove what has the smallest weights. No data; the usual baseline.

It does not beat `random` on SmolLM2-135M; docs/compression.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

    from compress.blocks import Block, Part
    from compress.stats import BlockStats


@dataclass(frozen=True)
class Magnitude:
    """L2 norm over all weights that a channel or a kv group takes along; the same share in every layer."""

    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    removes: ClassVar[Literal["width"]] = "width"
    needs: ClassVar[frozenset[str]] = frozenset()
    budget: ClassVar[str] = "uniform"

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over a row of every reader and a column of mlp_out."""
        return _norms(block.channel_parts)

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over the rows of q, k, v and the columns of attention_out."""
        return _norms(block.group_parts)


def _norms(parts: tuple[Part, ...]) -> Tensor:
    """(units,) L2 norms over all parts, in float64."""
    squares = [part.weight.double().square().sum(dim=(1, 2)) for part in parts]
    return sum(squares[1:], squares[0]).sqrt()
