"""FLAP: what fluctuates least can be replaced by its mean (arXiv 2312.11983)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from compress.planning.columns import column_scores

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block, Projection
    from compress.calibration.stats import BlockStats


@dataclass(frozen=True)
class Flap:
    """Fluctuation of the inputs of mlp_out and attention_out, weighed by the weights that read them.

    metric, for input i: WIFV is its variance over tokens times the sum of squared weights of its column, IFV the
    variance alone, WIFN the mean of |W| times its norm. `compensate: bias` in the recipe puts the means back, as the
    paper does.

    Differences from the released code: the variance is that of all tokens, where the code updates a running one with
    a mean that it has already overwritten, starting from 0; whole kv groups, not query heads, are scored.
    """

    metric: Literal["WIFV", "IFV", "WIFN"] = "WIFV"
    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    removes: ClassVar[Literal["width"]] = "width"
    needs: ClassVar[frozenset[str]] = frozenset({"activations"})
    budget: ClassVar[str] = "flap"

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Of the columns of mlp_out, as z-scores."""
        from compress.planning.globally import z_scores

        return z_scores(self._columns(block.mlp_out, stats))

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Of the columns of attention_out: squared, as z-scores of the layer, averaged over the group."""
        from compress.planning.globally import z_scores

        columns = self._columns(block.attention_out, stats).square()
        return z_scores(columns).view(block.kv_heads, -1).mean(dim=1)

    def _columns(self, projection: Projection, stats: BlockStats) -> Tensor:
        """(in,) the metric of every input, float64."""
        if self.metric == "WIFN":
            return column_scores(projection, stats)
        variances = stats.seen(projection.name).variances
        if self.metric == "IFV":
            return variances
        return variances * projection.weight.double().square().sum(dim=0)
