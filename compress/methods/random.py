"""Random: the control. A method that is not better than this has learnt nothing from weights or data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from compress.cutting.patterns import CHANNELS, ChannelsOrPattern, lowest_in_matrix, parse, refuse_width_options

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block
    from compress.calibration.stats import BlockStats, Inputs
    from compress.methods import Removes, Site


@dataclass(frozen=True)
class Random:
    """Scores drawn from the recipe's seed; the same share in every layer.

    pattern: "channels", or single weights: "unstructured" or N:M.
    """

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
        """Uniform noise."""
        return _noise(block.channels, f"{seed} channels {block.index}")

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Uniform noise, independent of that of the channels."""
        return _noise(block.kv_heads, f"{seed} groups {block.index}")

    def kept(self, block: int, blocks: int) -> tuple[int, int] | None:
        """The same pattern everywhere."""
        return parse(self.pattern)

    def sparse(self, site: Site, inputs: Inputs | None) -> Tensor:
        """(out, in) the weight with zeros; what stays is unchanged."""
        import random

        import torch

        weight = site.projection.weight
        stream = random.Random(f"{site.seed} {site.projection.name} {site.block}").getrandbits(63)
        noise = torch.rand(weight.shape, generator=torch.Generator().manual_seed(stream)).to(weight.device)
        return weight.masked_fill(lowest_in_matrix(noise, parse(self.pattern), site.sparsity), 0.0)


def _noise(size: int, stream: str) -> Tensor:
    import random

    import torch

    source = random.Random(stream)
    return torch.tensor([source.random() for _ in range(size)], dtype=torch.float64)
