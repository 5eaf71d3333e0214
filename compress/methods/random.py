"""Random: the control. A method that is not better than this has learnt nothing from weights or data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

    from compress.blocks import Block
    from compress.stats import BlockStats


@dataclass(frozen=True)
class Random:
    """Scores drawn from the recipe's seed; the same share in every layer."""

    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    removes: ClassVar[Literal["width"]] = "width"
    needs: ClassVar[frozenset[str]] = frozenset()
    budget: ClassVar[str] = "uniform"

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Uniform noise."""
        return _noise(block.channels, f"{seed} channels {block.index}")

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Uniform noise, independent of that of the channels."""
        return _noise(block.kv_heads, f"{seed} groups {block.index}")


def _noise(size: int, stream: str) -> Tensor:
    import random

    import torch

    source = random.Random(stream)
    return torch.tensor([source.random() for _ in range(size)], dtype=torch.float64)
