"""SLoPe's static N:M masks (arXiv 2405.16325), for a model that is trained already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from compress.cutting.patterns import Pattern, lowest_in_rows, parse
from compress.methods import Modules, Sequential, wanda

if TYPE_CHECKING:
    from torch import Tensor

    from compress.calibration.stats import Inputs
    from compress.methods import Site


@dataclass(frozen=True)
class Slope:
    """N of every M neighbouring inputs stay, by magnitude or by Wanda's score (arXiv 2306.11695).

    pattern: one for all layers, or several that divide the depth in equal runs, first to last: the paper's mixed
    sparsity. score, sequential: what decides, and for "wanda" what its inputs are read from, see `Sparse`.

    A reconstruction: the paper draws the mask at a random initialisation and pre-trains under it, which a trained
    model has no use for. Its masked training and lazy low-rank adapters belong to recovery.
    """

    pattern: Pattern | tuple[Pattern, ...] = "2:4"
    modules: Modules = "all"
    score: Literal["magnitude", "wanda"] = "magnitude"
    sequential: Sequential = "layer"

    removes: ClassVar[Literal["weights"]] = "weights"

    def __post_init__(self) -> None:
        if not self.patterns or any(parse(pattern) is None for pattern in self.patterns):
            raise ValueError("pattern: slope wants N:M, or a list of them, one a run of layers")

    @property
    def patterns(self) -> tuple[str, ...]:
        """One for each run of layers."""
        return (self.pattern,) if isinstance(self.pattern, str) else self.pattern

    @property
    def needs(self) -> frozenset[str]:
        """Only Wanda's score reads data."""
        return frozenset({"inputs"}) if self.score == "wanda" else frozenset()

    def kept(self, block: int, blocks: int) -> tuple[int, int] | None:
        """The pattern of the run that this layer is in."""
        return parse(self.patterns[block * len(self.patterns) // blocks])

    def sparse(self, site: Site, inputs: Inputs | None) -> Tensor:
        """(out, in) the weight with zeros; what stays is unchanged."""
        weight = site.projection.weight
        scores = weight.double().abs() if inputs is None else wanda.scores(weight, inputs)
        return weight.masked_fill(lowest_in_rows(scores, self.kept(site.block, site.blocks), site.sparsity), 0.0)
