"""Magnitude: remove what has the smallest weights. No data; the usual baseline.

By channels it does not beat `random` on SmolLM2-135M; docs/compression.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    of each row that reads the residual stream, summed (arXiv 2512.22671).
    pattern: "channels", or single weights: "unstructured" (smallest |W| of each matrix) or N:M.
    """

    norm: Literal["l2", "peak_to_peak"] = "l2"
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
        """Over a row of every reader and, by L2, a column of mlp_out."""
        return self._sizes(block.channel_parts)

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Over the rows of q, k, v and, by L2, the columns of attention_out."""
        return self._sizes(block.group_parts)

    def _sizes(self, parts: tuple[Part, ...]) -> Tensor:
        return _norms(parts) if self.norm == "l2" else _ranges(parts[:-1])

    def kept(self, block: int, blocks: int) -> tuple[int, int] | None:
        """The same pattern everywhere."""
        return parse(self.pattern)

    def sparse(self, site: Site, inputs: Inputs | None) -> Tensor:
        """(out, in) the weight with zeros; what stays is unchanged."""
        weight = site.projection.weight
        return weight.masked_fill(lowest_in_matrix(weight.abs(), parse(self.pattern), site.sparsity), 0.0)


def _norms(parts: tuple[Part, ...]) -> Tensor:
    """(units,) L2 norms over all parts, in float64."""
    squares = [part.weight.double().square().sum(dim=(1, 2)) for part in parts]
    return sum(squares[1:], squares[0]).sqrt()


def _ranges(parts: tuple[Part, ...]) -> Tensor:
    """(units,) largest minus smallest weight of each row, summed over rows and parts, in float64."""
    ranges = [(part.weight.amax(dim=2) - part.weight.amin(dim=2)).double().sum(dim=1) for part in parts]
    return sum(ranges[1:], ranges[0])
