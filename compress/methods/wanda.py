"""Wanda (arXiv 2306.11695): zero the weights that matter least to the outputs, weight by weight, without retraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from compress.cutting.patterns import UNSTRUCTURED, Pattern, lowest_in_rows, parse
from compress.methods import Modules, Sequential

if TYPE_CHECKING:
    from torch import Tensor

    from compress.calibration.stats import Inputs
    from compress.methods import Site


@dataclass(frozen=True)
class Wanda:
    """|W_ij| times the norm of input j, compared within each output row.

    pattern: "unstructured" (the recipe's sparsity) or N:M. sequential: what the inputs are read from, see `Sparse`.
    """

    pattern: Pattern = UNSTRUCTURED
    modules: Modules = "all"
    sequential: Sequential = "layer"

    removes: ClassVar[Literal["weights"]] = "weights"
    needs: ClassVar[frozenset[str]] = frozenset({"inputs"})

    def kept(self, block: int, blocks: int) -> tuple[int, int] | None:
        """The same pattern everywhere."""
        return parse(self.pattern)

    def sparse(self, site: Site, inputs: Inputs | None) -> Tensor:
        """(out, in) the weight with zeros; what stays is unchanged."""
        assert inputs is not None
        weight = site.projection.weight
        gone = lowest_in_rows(scores(weight, inputs), self.kept(site.block, site.blocks), site.sparsity)
        return weight.masked_fill(gone, 0.0)


def scores(weight: Tensor, inputs: Inputs) -> Tensor:
    """(out, in) |W_ij| times the norm of input j, float64."""
    return weight.double().abs() * inputs.norms
