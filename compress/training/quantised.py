"""Group-wise quantised projections: frozen b-bit weights, and a low-rank path that folds into their zero points.

A reconstruction of the third stage of SAAP (arXiv 2412.15127), of which only summaries could be read, by way of QA-LoRA
(arXiv 2309.14717), which it seems to follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from compress.anatomy.blocks import Projection, blocks

SCALE = 2.0
"""alpha / rank of the low-rank path, as for LoRA."""


@dataclass(frozen=True)
class Grid:
    """One quantised weight; everything that a file format with b-bit weights needs.

    A group is `group` neighbouring input columns of one row. Where the columns are no multiple of it, the last group of
    every row is smaller, with a scale and a zero point of its own.
    """

    codes: Tensor
    """(out, in) uint8, below 2^bits."""
    scale: Tensor
    """(out, groups) float32, above 0."""
    zero: Tensor
    """(out, groups) float32: the value of code 0, no integer."""
    bits: int
    group: int

    @property
    def weight(self) -> Tensor:
        """(out, in) float32: code * scale + zero."""
        return self.codes * self._spread(self.scale) + self._spread(self.zero)

    @property
    def stored_bits(self) -> int:
        """Of packed codes, and scales and zero points in float32."""
        return self.bits * self.codes.numel() + 32 * (self.scale.numel() + self.zero.numel())

    def shifted(self, update: Tensor) -> Grid:
        """update: (out, groups), added to all weights of a group. Codes and scales stay."""
        return replace(self, zero=self.zero + update.to(self.zero))

    def _spread(self, values: Tensor) -> Tensor:
        """(out, groups) -> (out, in)."""
        return values.repeat_interleave(self.group, dim=1)[:, : self.codes.shape[1]]


def quantised(weight: Tensor, bits: int, group: int) -> Grid:
    """Min-max quantise every row and group: scale = (max - min) / (2^bits - 1), zero = min. weight: (out, in), finite.

    A group of equal weights has codes 0 and scale 1.
    """
    rows, columns = weight.shape
    whole = torch.arange(group * -(-columns // group), device=weight.device).clamp(max=columns - 1)
    # The last column fills up the last group, and changes neither its minimum nor its maximum.
    values = weight.float()[:, whole].view(rows, -1, group)
    zero, top = values.aminmax(dim=-1)
    step = (top - zero) / (2**bits - 1)
    scale = step.where(step > 0, torch.ones_like(step))
    codes = ((values - zero.unsqueeze(-1)) / scale.unsqueeze(-1)).round().to(torch.uint8)
    return Grid(codes.view(rows, -1)[:, :columns].contiguous(), scale, zero, bits, group)


def pooled(inputs: Tensor, group: int) -> Tensor:
    """(..., in) -> (..., groups): sums of neighbouring inputs."""
    missing = -inputs.shape[-1] % group
    padded = functional.pad(inputs, (0, missing)) if missing else inputs
    return padded.reshape(*padded.shape[:-1], -1, group).sum(dim=-1)


class QuantisedLinear(nn.Module):
    """y = W_q x + bias + 2 up(down(pooled(x))); B of the paper is `up`, A is `down`.

    `up` starts at zero, so that W_q is what training starts from. W_q lies dequantised in the module that this one is
    made of. Dequantising in every pass would save four fifths of that memory, and took 13 % more time with 1,024 tokens
    a pass, 46 % more with 256: forward and backward of SmolLM2-135M's projections, one core of an AMD EPYC, 2026-11-28.
    """

    def __init__(self, projection: Projection, grid: Grid, rank: int, source: torch.Generator) -> None:
        """Writes W_q over the weights of the projection, and freezes them; its bias is left as it is."""
        super().__init__()
        rows, groups = grid.zero.shape
        device = projection.weight.device
        self.plain = projection.module
        self.grid = grid
        # Spread as in LoRA over all inputs, not over groups: sums of inputs are larger than inputs, and one learning
        # rate should mean the same for both.
        reach = projection.in_features**-0.5
        self.down = nn.Parameter((torch.rand(rank, groups, generator=source).mul_(2.0).sub_(1.0) * reach).to(device))
        self.up = nn.Parameter(torch.zeros(rows, rank, device=device))
        projection.weight.copy_(grid.weight)
        self.plain.weight.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs: (..., in). Returns (..., out)."""
        output: Tensor = self.plain(inputs)
        sums = pooled(inputs.to(self.down.dtype), self.grid.group)
        return output + (SCALE * functional.linear(functional.linear(sums, self.down), self.up)).to(output.dtype)

    def folded_(self) -> tuple[nn.Module, Grid]:
        """The module that this one was made of, with the update in its weights, and the grid that they lie on.

        The weights are code * scale + zero, rounded to the module's precision. bfloat16 has eight significant bits, so
        that neighbours on an 8-bit grid may round to one value there.
        """
        grid = self.grid.shifted(SCALE * self.up.detach().float() @ self.down.detach().float())
        Projection("", self.plain).weight.copy_(grid.weight)
        return self.plain, grid


def quantise_(model: PreTrainedModel, grid: tuple[int, int], rank: int, seed: int) -> None:
    """Put a QuantisedLinear in place of every projection of every decoder layer. grid: (bits, group).

    Nothing but the low-rank paths requires a gradient afterwards.
    """
    source = torch.Generator().manual_seed(seed)
    found = blocks(model)
    model.requires_grad_(False)
    for block in found:
        for projection in block.projections:
            made = QuantisedLinear(projection, quantised(projection.weight, *grid), rank, source)
            block.layer.set_submodule(projection.name, made)


def fold_(model: PreTrainedModel) -> dict[str, Grid]:
    """Put plain modules back; returns their grids by the modules' paths in the model."""
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, QuantisedLinear)]
    grids = {}
    for name, module in found:
        plain, grids[name] = module.folded_()
        model.set_submodule(name, plain)
    return grids
