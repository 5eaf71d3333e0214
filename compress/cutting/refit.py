"""Refit: after a cut, least squares for the weights that stay, one layer after the other.

Two streams of hidden states are followed: the original's, and that of the model as it is cut. In every layer the output
projections are changed so that the cut stream comes back to the original's, which also repairs what the layers before
left over. The idea is that of channel pruning with linear reconstruction (arXiv 1707.06168); the ridge is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from compress.anatomy.blocks import Block, Projection
from compress.anatomy.walk import Stream
from compress.errors import CompressError

RIDGE = 10.0
"""Times kept inputs, by tokens read. Measured: a tenth of it fits 8,192 tokens too closely; three times as
much changes little."""
ROUNDING = 0.25
"""Half precision may round off this share of what one layer adds."""


@dataclass(frozen=True)
class Aims:
    """What an original layer made of its stream, batch by batch: (rows, tokens, hidden)."""

    attention: list[Tensor]
    mlp: list[Tensor]
    summed: bool
    """Whether these are the residual stream behind each part; else the mere outputs of its output projection."""


def watched(block: Block, stream: Stream) -> Aims:
    """Take the original's stream through its layer.

    Where the layer adds the outputs of both projections to its input, the aim is the residual stream, so that what
    earlier layers left over is repaired too. Where more is done with them (Gemma's norms, Granite's factor), it is each
    projection's own output.
    """
    before = list(stream.hidden)
    with caught(block.attention_out) as attention, caught(block.mlp_out) as mlp:
        stream.advance(block.layer, block.index)
    own = Aims(
        [call.output.view_as(x) for x, call in zip(before, attention, strict=True)],
        [call.output.view_as(x) for x, call in zip(before, mlp, strict=True)],
        summed=False,
    )
    middle = [x + output for x, output in zip(before, own.attention, strict=True)]
    for x, y, output, after in zip(before, middle, own.mlp, stream.hidden, strict=True):
        added = (y + output - x).abs().float().median()
        if (y + output - after).abs().float().median() > ROUNDING * added:
            return own
    return Aims(middle, list(stream.hidden), summed=True)


def refit_block_(block: Block, aims: Aims, stream: Stream, ridge: float = RIDGE, attention: bool = True) -> None:
    """Refit attention_out if asked, then mlp_out, and take the stream of the cut model through the layer.

    attention: gains nothing where all kv groups stay. Raises CompressError on NaN activations.
    """
    if attention:
        _refit_attention_(block, aims, stream, ridge)
    fit, reached = Fit(block, block.mlp_out), []
    with caught(block.mlp_out) as calls:
        for aim, after in zip(aims.mlp, stream.outputs(block.layer, block.index), strict=True):
            fit.add(calls[-1].inputs, aim - (after if aims.summed else calls[-1].output.view_as(aim)))
            reached.append(after)
    change = fit.change(ridge).to(block.mlp_out.weight.dtype)
    block.mlp_out.weight.add_(change)
    if aims.summed:
        changes = ((call.inputs @ change.T).view_as(after) for after, call in zip(reached, calls, strict=True))
        stream.hidden[:] = [after + more for after, more in zip(reached, changes, strict=True)]
        stream.check_finite(block.index)
    else:
        stream.advance(block.layer, block.index)


def _refit_attention_(block: Block, aims: Aims, stream: Stream, ridge: float) -> None:
    fit = Fit(block, block.attention_out)
    with caught(block.attention_out) as calls:
        for aim, before, _ in zip(aims.attention, stream.hidden, stream.outputs(block.layer, block.index), strict=True):
            call = calls.pop()
            output = call.output.view_as(aim)
            fit.add(call.inputs, aim - (before + output if aims.summed else output))
    block.attention_out.weight.add_(fit.change(ridge))


class Fit:
    """Sums of one least-squares problem: the change of a weight that makes up for errors of its output."""

    def __init__(self, block: Block, projection: Projection) -> None:
        columns, device = projection.in_features, projection.weight.device
        self.where = f"layer {block.index}: {projection.name}"
        self.tokens = 0
        self.gram = torch.zeros(columns, columns, dtype=torch.float64, device=device)
        self.cross = torch.zeros(projection.out_features, columns, dtype=torch.float64, device=device)

    def add(self, inputs: Tensor, errors: Tensor) -> None:
        """inputs: (rows, tokens, in). errors: (rows, tokens, out), what is wanted less what is there."""
        x, e = inputs.flatten(0, -2).float(), errors.flatten(0, -2).float()
        self.tokens += len(x)
        self.gram += x.T @ x
        self.cross += e.T @ x

    def change(self, ridge: float) -> Tensor:
        """(out, in) D that minimises sum ||D x - e||^2 + pull * sum_i ||D_i||^2 sum x_i^2; pull = ridge * in / tokens.

        Each input is weighed by its own size, so that nothing depends on how channels are scaled. What a column learns
        of mere chance grows with inputs by tokens, and so does the pull.
        """
        if not bool(torch.isfinite(self.gram).all() and torch.isfinite(self.cross).all()):
            raise CompressError(f"{self.where}: NaN or infinite activations while refitting")
        sizes = self.gram.diagonal()
        penalty = ridge * len(sizes) / self.tokens * sizes.where(sizes > 0, sizes.new_ones(()))
        change: Tensor
        change, failed = torch.linalg.solve_ex(self.gram + penalty.diag(), self.cross, left=False)
        if int(failed):
            raise CompressError(f"{self.where}: least squares has no solution; raise ridge")
        return change


@dataclass(frozen=True)
class Call:
    """One call of a projection: (rows, tokens, in) and (rows, tokens, out)."""

    inputs: Tensor
    output: Tensor


@contextmanager
def caught(projection: Projection) -> Iterator[list[Call]]:
    """Inside, every call of this projection is kept."""
    calls: list[Call] = []

    def keep(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        calls.append(Call(args[0], output))

    handle = projection.module.register_forward_hook(keep)
    try:
        yield calls
    finally:
        handle.remove()
