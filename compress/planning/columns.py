"""How much each input of a projection matters, by weights and activations together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Projection
    from compress.calibration.stats import BlockStats


def column_scores(projection: Projection, stats: BlockStats) -> Tensor:
    """(in,) mean over rows of |W| times the norm of the input, float64; Wanda's score (arXiv 2306.11695) by column."""
    return projection.weight.double().abs().mean(dim=0) * stats.seen(projection.name).norms
