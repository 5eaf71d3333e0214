"""SparseGPT (arXiv 2301.00774): zero weights column by column, and let those to the right make up for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from compress.cutting.patterns import UNSTRUCTURED, Pattern, lowest_in_matrix, lowest_in_rows, parse
from compress.errors import CompressError
from compress.methods import Modules, Sequential

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from compress.calibration.stats import Inputs
    from compress.methods import Site

STEP = 16
"""Columns that are corrected by one product where no pattern says how many; changes the speed only."""


@dataclass(frozen=True)
class Sparsegpt:
    """Optimal brain surgeon with one Hessian for all rows: the damped Gram matrix of the inputs.

    pattern: "unstructured" (the recipe's sparsity, one threshold for every `columns` columns of a matrix) or N:M
    (chosen when the group is reached). dampening: added to the diagonal, times its mean. sequential: what the inputs
    are read from, see `Sparse`.
    """

    pattern: Pattern = UNSTRUCTURED
    modules: Modules = "all"
    sequential: Sequential = "layer"
    dampening: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
    columns: Annotated[int, Field(ge=1)] = 128

    removes: ClassVar[Literal["weights"]] = "weights"
    needs: ClassVar[frozenset[str]] = frozenset({"grams"})

    def __post_init__(self) -> None:
        pattern = parse(self.pattern)
        if pattern is not None and self.columns % pattern[1]:
            raise ValueError(f"columns: {self.columns} is no multiple of the {pattern[1]} of pattern {self.pattern}")

    def kept(self, block: int, blocks: int) -> tuple[int, int] | None:
        """The same pattern everywhere."""
        return parse(self.pattern)

    def sparse(self, site: Site, inputs: Inputs | None) -> Tensor:
        """(out, in) the weight with zeros, and with other values where weights stay."""
        assert inputs is not None
        assert inputs.gram is not None
        import torch

        weight = site.projection.weight
        exact = torch.promote_types(weight.dtype, torch.float32)
        where = f"layer {site.block}: {site.projection.name}"
        factor = inverse_factor(inputs.gram, self.dampening, exact, where)
        columns = weight.T.to(exact, copy=True).contiguous()
        columns[inputs.gram.diagonal() == 0] = 0.0
        self._sweep_(columns, factor, site.sparsity)
        return columns.T.to(weight.dtype)

    def _sweep_(self, columns: Tensor, factor: Tensor, share: float) -> None:
        """columns: (in, out). Left to right, block by block; all to the right hears of a block when it is done."""
        for start in range(0, len(columns), self.columns):
            inside = slice(start, min(start + self.columns, len(columns)))
            errors = self._block_(columns[inside], factor[inside, inside], share)
            columns[inside.stop :].addmm_(factor[inside, inside.stop :].T, errors, alpha=-1)

    def _block_(self, columns: Tensor, factor: Tensor, share: float) -> Tensor:
        """columns: (n, out), factor: (n, n). Returns (n, out): w / factor_cc of the zeroed weights, else 0."""
        import torch

        pattern = parse(self.pattern)
        scale = factor.diagonal().unsqueeze(1)
        errors = columns.new_zeros(columns.shape)
        step, gone = pattern[1] if pattern else STEP, errors > 0
        if pattern is None:
            gone = lowest_in_matrix((columns / scale).square().T, None, share).T
        for start in range(0, len(columns), step):
            here = slice(start, start + step)
            columns[here].addmm_(factor[:start, here].T, errors[:start], alpha=-1)
            if pattern is not None:
                gone[here] = lowest_in_rows((columns[here] / scale[here]).square().T, pattern, share).T
            shares = gone[here] / scale[here]
            for column, of_error in enumerate(shares, start):
                columns[column].addmv_(errors[start:column].T, factor[start:column, column], alpha=-1)
                torch.mul(columns[column], of_error, out=errors[column])
        columns.masked_fill_(gone, 0.0)
        return errors


def inverse_factor(gram: Tensor, dampening: float, exact: torch.dtype, where: str) -> Tensor:
    """Upper U with U^T U = (gram + dampening * mean diagonal * I)^-1; inputs that were always zero stand alone.

    Those count nothing in the mean. The released code puts 1 for each before it takes the mean, so that where there are
    any, its dampening depends on the scale of the activations.
    Taken from one Cholesky factorisation from the last column to the first, H = R R^T with upper R: U = R^-1.
    exact: what to compute in. Raises CompressError, saying `where`, if rounding leaves H without an inverse.
    """
    import torch

    hessian = gram.flip(0, 1)
    diagonal = hessian.diagonal()
    level = float(diagonal.mean())
    diagonal[diagonal == 0] = level or 1.0
    diagonal += dampening * level
    lower, failed = torch.linalg.cholesky_ex(hessian.to(exact))
    if int(failed):
        raise CompressError(f"{where}: the Gram matrix of its inputs has no inverse; raise dampening")
    identity = torch.eye(len(gram), dtype=exact, device=gram.device)
    factor: Tensor = torch.linalg.solve_triangular(lower.flip(0, 1), identity, upper=True)
    return factor
