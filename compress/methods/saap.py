"""SAAP: two Taylor importances fused, and made comparable between layers (arXiv 2412.15127); needs gradients.

No text of the paper with its formulas in full and no code could be found: what follows its idea is a reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block
    from compress.calibration.stats import BlockStats, Taylor

Fusion = Literal["mean_norm", "product", "vector", "element"]


@dataclass(frozen=True)
class Saap:
    """Vector-wise |g^T w - w^T H w / 2| and element-wise |g w - h w^2 / 2|, with squared gradients for H.

    Both are of one window at a time, then the mean over the windows (reconstruction); of the mean gradient they did
    worse on SmolLM2-135M.
    fusion: "mean_norm" (reconstruction) is the paper's multi-task loss solved for its two sigmas, which come out as
    the mean importances: half the sum of both, each divided by its mean over the layer. "product" (reconstruction) is
    the same with two sigmas for every unit: the geometric mean. "vector", "element": one importance alone.
    search: "zscore" standardises within each layer and kind. "stability" (reconstruction) removes what fluctuates most
    between calibration windows, by standard deviation over mean; it does not beat `random` on SmolLM2-135M.
    "combined": z-score - fluctuation_weight * fluctuation.
    """

    fusion: Fusion = "mean_norm"
    search: Literal["zscore", "stability", "combined"] = "zscore"
    fluctuation_weight: Annotated[float, Field(ge=0)] = 0.5
    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    removes: ClassVar[Literal["width"]] = "width"
    needs: ClassVar[frozenset[str]] = frozenset({"taylor"})
    budget: ClassVar[str] = "saap"

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over a row of every reader and a column of mlp_out."""
        return self._scores(stats.change("channels"))

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over the rows of q, k, v and the columns of attention_out."""
        return self._scores(stats.change("groups"))

    def _scores(self, taylor: Taylor) -> Tensor:
        from compress.planning.globally import z_scores

        if self.search == "stability":
            return -fluctuation(taylor.windows, self.fusion)
        standard = z_scores(fused(taylor.windows.mean(dim=0), self.fusion))
        if self.search == "zscore":
            return standard
        return standard - self.fluctuation_weight * fluctuation(taylor.windows, self.fusion)


def fused(importances: Tensor, fusion: Fusion) -> Tensor:
    """importances: (..., 2, units), vector-wise and element-wise. Returns (..., units).

    Rescaling either importance leaves the ranking as it is.
    """
    vector, element = importances.unbind(dim=-2)
    match fusion:
        case "vector":
            return vector
        case "element":
            return element
        case "product":
            return (vector * element).sqrt()
        case "mean_norm":
            return (_over_mean(vector) + _over_mean(element)) / 2


def fluctuation(windows: Tensor, fusion: Fusion) -> Tensor:
    """Standard deviation over mean of the fused importance, from window to window.

    windows: (windows, 2, units). Returns (units,), not negative; 0 where a unit has no importance in any window.
    """
    seen = fused(windows, fusion)
    mean = seen.mean(dim=0)
    return seen.std(dim=0, correction=0) / mean.where(mean > 0, mean.new_ones(()))


def _over_mean(importance: Tensor) -> Tensor:
    """(..., units) with mean 1 over the units; zeros stay zeros."""
    mean = importance.mean(dim=-1, keepdim=True)
    return importance / mean.where(mean > 0, mean.new_ones(()))
