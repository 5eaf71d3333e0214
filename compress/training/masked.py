"""Train weights under a mask, with low-rank adapters beside them: SLoPe (arXiv 2405.16325)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compress.anatomy.blocks import Projection, blocks
from compress.cutting.patterns import double_pruned
from compress.errors import CompressError

FEW = 0.01
"""A projection with no more zeros than this share counts as dense: rounding makes some."""
LARGEST_GROUP = 64
"""M of the largest pattern that is looked for."""

Pattern = tuple[int, int]


class MaskedLinear(nn.Module):
    """y = x W^T + x (R^T L^T) / r + b of one projection; the middle term once there is an adapter.

    The weight that is trained is (out, in) and at least float32; products are in the inputs' type, or autocast's. Only
    the weights that were not zero get a gradient, so an optimiser whose steps and decay leave zeros alone when their
    gradient was always zero, as AdamW's do, keeps the mask.
    """

    kept: Tensor

    def __init__(self, projection: Projection, pattern: Pattern | None = None) -> None:
        """pattern: that of the weight; given, the gradient of the inputs goes through W^{R,C} instead of W^R."""
        super().__init__()
        self.projection = projection
        self.pattern = pattern
        weight = projection.weight
        self.weight = nn.Parameter(weight.to(torch.promote_types(weight.dtype, torch.float32)).contiguous())
        self.bias = projection.module.bias
        self.register_buffer("kept", weight != 0, persistent=False)
        self.left: nn.Parameter | None = None
        """L: (out, r)"""
        self.right: nn.Parameter | None = None
        """R: (r, in)"""
        self.both: Tensor | None = None
        """(out, in) bool: where W^{R,C} is not zero; None: to be found again before the next backward pass."""

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs: (..., in). Returns (..., out)."""
        kind = inputs.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else inputs.dtype
        x = inputs.to(dtype)
        y: Tensor = _Product.apply(x, self.weight.to(dtype), self.kept, self._behind())  # type: ignore[no-untyped-call]
        if self.left is not None and self.right is not None:
            down = functional.linear(x, self.right.to(dtype))
            y = y + functional.linear(down, self.left.to(dtype)) / len(self.right)
        return y if self.bias is None else y + self.bias.to(dtype)

    def _behind(self) -> Tensor | None:
        if self.pattern is None or not torch.is_grad_enabled():
            return None
        if self.both is None:
            self.both = double_pruned(self.weight.detach(), self.pattern) != 0
        return self.both

    def adapt_(self, rank: int, generator: torch.Generator) -> None:
        """Add an adapter that changes nothing yet: L ~ N(0, 1), R = 0. generator: on the CPU."""
        rows, columns = self.weight.shape
        left = torch.randn(rows, rank, generator=generator)
        self.left = nn.Parameter(left.to(self.weight))
        self.right = nn.Parameter(self.weight.new_zeros(rank, columns))

    @torch.no_grad()
    def factors(self) -> tuple[Tensor, Tensor]:
        """A: (r, in) and B: (out, r), with B A what the adapter adds to the weight. Raises RuntimeError without one."""
        if self.left is None or self.right is None:
            raise RuntimeError("the projection has no adapter")
        return self.right.detach().clone(), self.left / len(self.right)

    def plain(self) -> nn.Linear | Conv1D:
        """The module that stood here, with the trained weight, without the adapter."""
        self.projection.weight.copy_(self.weight.detach())
        return self.projection.module


class _Product(torch.autograd.Function):
    """Y = X W^T; dW = (dY^T X) masked; dX = dY W, or dY W^{R,C}."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kept: Tensor, both: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight, kept, both)
        return functional.linear(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grown: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight, kept, both = ctx.saved_tensors
        slope, change = None, None
        if ctx.needs_input_grad[0]:
            slope = grown @ (weight if both is None else weight.masked_fill(~both, 0.0))
        if ctx.needs_input_grad[1]:
            # Filled, not multiplied: where the mask is off, infinity must become 0 too.
            change = (grown.flatten(0, -2).T @ x.flatten(0, -2)).masked_fill_(~kept, 0.0)
        return slope, change, None, None


def masked_(model: PreTrainedModel, double: bool = False) -> dict[str, MaskedLinear]:
    """Put a MaskedLinear in the place of every projection of the decoder layers that has zeros; by path in the model.

    double: send the gradient of the inputs through W^{R,C}. Raises CompressError, with the model untouched, if there
    are none, or if W^{R,C} is wanted and a weight has no N:M pattern, or not M times as many rows.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    found = {}
    for block in blocks(model):
        for projection in block.projections:
            if 1.0 - density(projection.weight) > FEW:
                path = paths[id(projection.module)]
                found[path] = MaskedLinear(projection, _column_pattern(path, projection) if double else None)
    if not found:
        raise CompressError("no projection of the decoder layers has zeros; allowed: models with weights zeroed before")
    for path, module in found.items():
        model.set_submodule(path, module)
    return found


def unmasked_(model: PreTrainedModel, found: dict[str, MaskedLinear]) -> None:
    """Put the plain modules back, with the trained weights."""
    for path, module in found.items():
        model.set_submodule(path, module.plain())


def _column_pattern(path: str, projection: Projection) -> Pattern:
    pattern = pattern_of(projection.weight)
    if pattern is None:
        raise CompressError(
            f"{path}: double_pruned wants zeros in an N:M pattern with M up to {LARGEST_GROUP}; none found"
        )
    if projection.out_features % pattern[1]:
        wanted = f"multiples of the {pattern[1]} of pattern {pattern[0]}:{pattern[1]}"
        raise CompressError(f"{path}: {projection.out_features} rows; double_pruned wants {wanted}")
    return pattern


def pattern_of(weight: Tensor) -> Pattern | None:
    """The N:M pattern with the smallest M that the weight obeys and nearly fills. weight: (out, in)."""
    filled = density(weight)
    for size in range(2, min(LARGEST_GROUP, weight.shape[1] // 2) + 1):
        if weight.shape[1] % size:
            continue
        most = int(weight.reshape(len(weight), -1, size).count_nonzero(dim=2).max())
        # Nearly: SparseGPT also leaves zeros where an input is always zero.
        if 0 < most < size and filled > 0.9 * most / size:
            return most, size
    return None


def density(weight: Tensor) -> float:
    """Share of the weights that are not zero."""
    return int(weight.count_nonzero()) / weight.numel()
