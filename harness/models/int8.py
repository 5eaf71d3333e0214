"""A model whose Linear layers multiply in int8, on a CPU.

Weights are rounded once, to 127 steps either way of the largest in their row; what comes into a layer is rounded as it
comes, token by token. So a token is rounded alike whatever it is batched with, and sums of int8 products are exact.
The output layer, embeddings and norms stay float32: logits are where a model is asked from, and the output layer is
often the embedding.
"""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from harness.errors import HarnessError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STEPS = 127
LEAST = torch.finfo(torch.float32).tiny
"""Instead of the largest of a row of zeros."""
OF_ADAPTERS = "lora_"
"""In the name of layers of an adapter that is kept apart: small, and trained against rounding of their own."""


class Int8Linear(nn.Module):
    """y = x W^T + b with both factors in int8, exact up to 133,000 columns; NaN and infinities come through."""

    scale: Tensor
    """(out,)"""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        levels, scale = rounded(linear.weight.detach().float())
        self.weight = nn.Parameter(levels, requires_grad=False)
        """(out, in), int8"""
        self.register_buffer("scale", scale.flatten())
        self.bias = linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in) -> (..., out), float32."""
        levels, scale = rounded(inputs.reshape(-1, inputs.shape[-1]))
        sums = torch._int_mm(levels, self.weight.t())
        outputs = sums.float().mul_(scale).mul_(self.scale)
        if self.bias is not None:
            outputs += self.bias
        return outputs.view(*inputs.shape[:-1], -1)


def rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, columns) as int8, and the step of each row, (rows, 1)."""
    step = rows.abs().amax(dim=1, keepdim=True).clamp_(min=LEAST).div_(STEPS)
    return (rows / step).round_().to(torch.int8), step


def quantise_(model: PreTrainedModel, source: str) -> str:
    """Put int8 in place of every Linear layer but the output layer; returns what was done, for a reader.

    Raises HarnessError for a model without such layers, and for a processor that sums int8 products wrongly.
    """
    if not _sums_exactly():
        raise HarnessError(f"{source}: dtype int8: this processor saturates sums of int8 products; choose float32")
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    of_all, of_layers = model.num_parameters(), 0
    # Exactly Linear: a subclass has a product of its own. Names, for a list of layers would keep all of them.
    names = [name for name, one in model.named_modules() if type(one) is nn.Linear and one is not head]
    names = [name for name in names if OF_ADAPTERS not in name]
    if not names:
        raise HarnessError(f"{source}: dtype int8: {type(model).__name__} has no Linear layer but its output layer")
    for name in names:
        layer = Int8Linear(cast(nn.Linear, model.get_submodule(name)))
        model.set_submodule(name, layer)
        of_layers += layer.weight.numel()
    for left in model.parameters():
        if left.is_floating_point():
            # As it was opened it is a part of the mapped file, which would stay in memory whole.
            left.data = left.data.clone()
    _give_back()
    return (
        f"{len(names)} Linear layers with {of_layers / 1e6:.3g} of {of_all / 1e6:.3g} million weights, a scale a row; "
        "what comes into them is rounded token by token; the rest is float32"
    )


def _give_back() -> None:
    """Hand memory that is free again back to the system, which glibc would keep for itself."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _sums_exactly() -> bool:
    """Largest products in long sums of even and odd length, for kernels that add pairs in 16 bits."""
    for columns in (64, 65):
        most = torch.full((17, columns), STEPS, dtype=torch.int8)
        for other in (most, -most):
            if not bool((torch._int_mm(most, other.t()) == int(other[0, 0]) * STEPS * columns).all()):
                return False
    return True
