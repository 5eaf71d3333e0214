"""Magnitude: remove what has the smallest weights. No data; the usual baseline.

By channels and L2 it does not beat `random` on SmolLM2-135M, by the product of largest weights it does;
docs/compression-measured.md has the figures.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from compress.cutting.patterns import CHANNELS, ChannelsOrPattern, lowest_in_matrix, parse, refuse_width_options

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block, Part
    from compress.calibration.stats import BlockStats, Inputs
    from compress.methods import Removes, Site


@dataclass(frozen=True)
class Magnitude:
    """The size of the weights that a channel or a kv group takes along; the same share in every layer.

    norm, for channels and groups: "l2" over all their rows and columns. "peak_to_peak": largest minus smallest weight
    of each row that reads the residual stream, summed (arXiv 2512.22671). "max_product": largest |weight| of every row
    and column, those of one matrix summed, multiplied over the matrices, as a channel puts out
    down * act(gate x) * (up x); ours.
    pattern: "channels", or single weights: "unstructured" (smallest |W| of each matrix) or N:M.
    """

    norm: Literal["l2", "peak_to_peak", "max_product"] = "l2"
    pattern: ChannelsOrPattern = CHANNELS
    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    modules: ClassVar[Literal["all"]] = "all"
    sequential: ClassVar[Literal[False]] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    budget: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        refuse_width_options(self)

    @property
    def removes(self) -> Removes:
        """Channels, or single weights."""
        return "width" if self.pattern == CHANNELS else "weights"

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over a row of every reader and, but by peak to peak, a column of mlp_out."""
        return self._sizes(block.channel_parts)

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over the rows of q, k, v and, but by peak to peak, the columns of attention_out."""
        return self._sizes(block.group_parts)

    def _sizes(self, parts: tuple[Part, ...]) -> Tensor:
        if self.norm == "l2":
            return reduce(operator.add, map(_squares, parts)).sqrt()
        if self.norm == "peak_to_peak":
            return reduce(operator.add, map(_range, parts[:-1]))
        return reduce(operator.mul, map(_largest, parts))

    def kept(self, block: int, blocks: int) -> tuple[int, int] | None:
        """The same pattern everywhere."""
        return parse(self.pattern)

    def sparse(self, site: Site, inputs: Inputs | None) -> Tensor:
        """(out, in) the weight with zeros; what stays is unchanged."""
        weight = site.projection.weight
        return weight.masked_fill(lowest_in_matrix(weight.abs(), parse(self.pattern), site.sparsity), 0.0)


def _squares(part: Part) -> Tensor:
    """(units,) squared L2 norms, in float64."""
    return part.weight.double().square().sum(dim=(1, 2))


def _range(part: Part) -> Tensor:
    """(units,) largest minus smallest weight of each row or column, summed, in float64."""
    weight = part.weight
    return (weight.amax(dim=2).double() - weight.amin(dim=2).double()).sum(dim=1)


def _largest(part: Part) -> Tensor:
    """(units,) largest |weight| of each row or column, summed, in float64."""
    return part.weight.abs().amax(dim=2).double().sum(dim=1)
