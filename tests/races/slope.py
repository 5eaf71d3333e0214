"""Race of SLoPe's 2:4 layers (arXiv 2405.16325) against dense ones, in training and in inference.

    python tests/races/slope.py [WIDTH ...]

Needs a GPU with sparse tensor cores, and says so where there is none; it has never run on one. Prints the protocol,
then one row of a Markdown table a width: seconds of the dense layers by those of the sparse ones, and memory of the
sparse ones by that of the dense ones. The paper's figures stand beside, for whole models on an A100.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.sparse import to_sparse_semi_structured

from compress.cutting.patterns import double_pruned, lowest_in_rows
from compress.cutting.semi_structured import obstacle

WIDTHS = (2048, 4096, 5120)
HEAD, LAYERS, ROWS, TOKENS, ROUNDS = 128, 2, 4, 1024, 30
RANKS = (0.0, 0.0156, 0.0625)
"""Of the adapters, as shares of the width: the paper's."""
DTYPE = torch.bfloat16
PAPER = """\
| paper, best | 1.25 | 0.63 | 1.54 / - / - | 0.61 / - / - |
| paper, LLaMA-3-8B | 1.16 | 0.63 | 1.35 / 1.33 / 1.32 | 0.66 / 0.69 / 0.71 |"""
PROTOCOL = f"""\
{LAYERS} decoder layers (RMS norm, causal attention with heads of {HEAD}, gated FFN of 3.5 times the width), random
weights, {ROWS} rows of {TOKENS} tokens, {DTYPE}; torch {torch.__version__}. Inference: a forward pass; sparse weights
are compressed before, adapters of 0, 1.56 and 6.25 % of the width stand beside. Training: forward pass, backward pass
and AdamW; sparse layers keep half of weights, gradients and moments, send slopes of inputs through W^(R,C) with columns
that stay as they are, and compress both forms again in every step. Median of {ROUNDS} rounds after three to warm up;
memory is the highest that was allocated, without what was there before the layers.
"""
Compress = Callable[[Tensor], Tensor]
Made = Callable[[int, int], nn.Module]


@dataclass(frozen=True)
class Cost:
    """Of one round."""

    seconds: float
    bytes: int


class Trainable(nn.Module):
    """A 2:4 layer that keeps the weights that are not zero, and two compressed forms for its products."""

    def __init__(self, columns: int, rows: int, compress: Compress) -> None:
        super().__init__()
        weight = sparse_weight(columns, rows)
        self.register_buffer("kept", weight != 0)
        self.register_buffer("both", double_pruned(weight, (2, 4)) != 0)
        self.values = nn.Parameter(weight[self.kept].view(rows, -1))
        self.compress = compress
        self.renew_()

    @torch.no_grad()
    def renew_(self) -> None:
        """Compress the values as they are now."""
        weight = torch.zeros_like(self.kept, dtype=DTYPE).masked_scatter_(self.kept, self.values)
        self.forth = self.compress(weight)
        self.back = self.compress(weight.masked_fill_(~self.both, 0.0).T.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        return Product.apply(x, self.values, self)


class Product(torch.autograd.Function):
    """Y = X W^T, dX = dY W^(R,C), and the slopes of the kept values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, layer: Trainable) -> Tensor:
        ctx.save_for_backward(x)
        ctx.layer = layer
        return functional.linear(x, layer.forth)

    @staticmethod
    def backward(ctx: Any, grown: Tensor) -> tuple[Tensor, Tensor, None]:
        (x,) = ctx.saved_tensors
        dense = grown.flatten(0, -2).T @ x.flatten(0, -2)
        return functional.linear(grown, ctx.layer.back), dense[ctx.layer.kept].view_as(ctx.layer.values), None


class Inferring(nn.Module):
    """A compressed 2:4 layer with an adapter beside it."""

    def __init__(self, columns: int, rows: int, compress: Compress, rank: int) -> None:
        super().__init__()
        self.weight = compress(sparse_weight(columns, rows))
        self.factors = (torch.randn(rank, columns, dtype=DTYPE), torch.randn(rows, rank, dtype=DTYPE)) if rank else None

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x, self.weight)
        if self.factors is None:
            return y
        first, second = self.factors
        down = functional.linear(x, first).flatten(0, -2)
        return torch.addmm(y.flatten(0, -2), down, second.T).view_as(y)


class Layer(nn.Module):
    """A decoder layer of LLaMA's kind."""

    def __init__(self, width: int, make: Made) -> None:
        super().__init__()
        channels = width * 7 // 2
        self.norms = nn.ModuleList(nn.RMSNorm(width, dtype=DTYPE) for _ in range(2))
        self.attention = nn.ModuleList(make(width, width) for _ in range(4))
        self.ffn = nn.ModuleList((make(width, channels), make(width, channels), make(channels, width)))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, o = self.attention
        gate, up, down = self.ffn
        y = self.norms[0](x)
        heads = (part(y).unflatten(2, (-1, HEAD)).transpose(1, 2) for part in (q, k, v))
        x = x + o(functional.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2))
        y = self.norms[1](x)
        return x + down(functional.silu(gate(y)) * up(y))


def main(widths: list[int], compress: Compress = to_sparse_semi_structured) -> None:
    """Measure on the default device and print."""
    print(PROTOCOL)
    print("| width | training | its memory | inference, by rank | its memory |\n|---|---|---|---|---|")
    for width in widths:
        check(width, compress)
        dense, sparse = trained(width, linear), trained(width, lambda c, r: Trainable(c, r, compress))
        cells = [f"{dense.seconds / sparse.seconds:.2f}", f"{sparse.bytes / dense.bytes:.2f}"]
        dense = inferred(width, linear)
        ranks = [round(share * width) for share in RANKS]
        found = [inferred(width, lambda c, r, rank=rank: Inferring(c, r, compress, rank)) for rank in ranks]
        cells.append(" / ".join(f"{dense.seconds / cost.seconds:.2f}" for cost in found))
        cells.append(" / ".join(f"{cost.bytes / dense.bytes:.2f}" for cost in found))
        print(f"| {width} | {' | '.join(cells)} |", flush=True)
    print(PAPER)


def linear(columns: int, rows: int) -> nn.Module:
    """The dense one."""
    return nn.Linear(columns, rows, bias=False, dtype=DTYPE)


def sparse_weight(columns: int, rows: int) -> Tensor:
    """2:4 by magnitude."""
    weight = torch.randn(rows, columns, dtype=DTYPE) / columns**0.5
    return weight.masked_fill_(lowest_in_rows(weight.abs(), (2, 4), 0.0), 0.0)


def check(width: int, compress: Compress) -> None:
    """Both products of a sparse layer are those of its dense weight; else nothing is worth measuring."""
    layer, x = Trainable(width, 2 * width, compress), torch.randn(64, width, dtype=DTYPE, requires_grad=True)
    weight = torch.zeros_like(layer.kept, dtype=DTYPE).masked_scatter_(layer.kept, layer.values.detach())
    y = layer(x)
    slopes = torch.randn_like(y)
    y.backward(slopes)
    torch.testing.assert_close(y, x @ weight.T, rtol=0.02, atol=0.05)
    torch.testing.assert_close(x.grad, slopes @ weight.masked_fill(~layer.both, 0.0), rtol=0.02, atol=0.05)
    torch.testing.assert_close(layer.values.grad, (slopes.T @ x)[layer.kept].view_as(layer.values), rtol=0.02, atol=0.5)


def trained(width: int, make: Made) -> Cost:
    """Of a training step."""
    before = allocated()
    layers = nn.Sequential(*(Layer(width, make) for _ in range(LAYERS)))
    optimizer = torch.optim.AdamW(layers.parameters(), lr=1e-5)

    def step() -> None:
        layers(torch.randn(ROWS, TOKENS, width, dtype=DTYPE)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        for module in layers.modules():
            if isinstance(module, Trainable):
                module.renew_()

    return cost(step, before)


def inferred(width: int, make: Made) -> Cost:
    """Of a forward pass."""
    before = allocated()
    with torch.no_grad():
        layers = nn.Sequential(*(Layer(width, make) for _ in range(LAYERS)))
        x = torch.randn(ROWS, TOKENS, width, dtype=DTYPE)
        return cost(lambda: layers(x), before)


def cost(work: Callable[[], object], before: int) -> Cost:
    """Median seconds, and the most bytes beyond `before`."""
    for _ in range(3):
        work()
    seconds = []
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    for _ in range(ROUNDS):
        synchronize()
        start = time.perf_counter()
        work()
        synchronize()
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 1
    return Cost(statistics.median(seconds), peak - before)


def allocated() -> int:
    """Bytes on the device now."""
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


def synchronize() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    reason = obstacle(device, DTYPE)
    if reason is not None:
        print(f"{PROTOCOL}\nNothing was measured: {reason}. The paper's figures, in the order of the table:\n\n{PAPER}")
    else:
        torch.manual_seed(0)
        torch.set_default_device(device)
        main([int(value) for value in sys.argv[1:]] or list(WIDTHS))
