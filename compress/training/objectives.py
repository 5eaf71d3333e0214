"""What training minimises, piece by piece: the logits of a whole batch are never in memory.

Only the hidden states get a gradient; output layers stay as they are, so the piece's logits are enough to write it down
at once, as fused linear cross-entropy kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from compress.anatomy.head import Head

PIECE = 128
"""Tokens whose logits are in memory at a time."""


@dataclass(frozen=True)
class Mixture:
    """share * next-token loss + (1 - share) * T^2 * KL(original at T || student at T), in nats a token.

    T^2 keeps the gradient's size when the temperature changes (Hinton et al., arXiv 1503.02531).
    """

    share: float
    """Of the next-token loss, in [0, 1]."""
    temperature: float = 1.0


@dataclass(frozen=True)
class Aim:
    """What the student should say."""

    targets: Tensor
    """(tokens,) the tokens that follow."""
    hidden: Tensor | None = None
    """(tokens, hidden) what the original's output layer reads; None where the share is 1."""
    head: Head | None = None
    """The original's."""


def token_loss(hidden: Tensor, head: Head, aim: Aim, mixture: Mixture) -> Tensor:
    """Sum over the tokens, differentiable by `hidden`: (tokens, hidden)."""
    total: Tensor = _TokenLoss.apply(hidden, head, aim, mixture)  # type: ignore[no-untyped-call]
    return total


class _TokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Head, aim: Aim, mixture: Mixture) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        slopes = torch.empty_like(hidden) if wanted else None
        total = hidden.new_zeros((), dtype=torch.float64)
        for start in range(0, len(hidden), PIECE):
            at = slice(start, start + PIECE)
            logits = head.logits(hidden[at])
            loss, slope = _piece(logits, _cut(aim, at), mixture)
            total += loss
            if slopes is not None:
                slopes[at] = head.backward(slope, logits)
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return total.to(torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grown: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return slopes * grown.to(slopes.dtype), None, None, None


def _cut(aim: Aim, at: slice) -> Aim:
    return Aim(aim.targets[at], None if aim.hidden is None else aim.hidden[at], aim.head)


def _piece(logits: Tensor, aim: Aim, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """logits: (tokens, vocabulary). Returns the summed loss and its gradient by the logits."""
    if mixture.share == 1.0:
        return _next_token(logits, aim.targets)
    loss, slope = _divergence(logits, aim, mixture.temperature)
    if mixture.share == 0.0:
        return loss, slope
    other, other_slope = _next_token(logits, aim.targets)
    loss = (1.0 - mixture.share) * loss + mixture.share * other
    return loss, slope.mul_(1.0 - mixture.share).add_(other_slope, alpha=mixture.share)


def _next_token(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    logs = logits.log_softmax(dim=-1)
    at = targets.unsqueeze(1)
    loss = -logs.gather(1, at).sum(dtype=torch.float64)
    slope = logs.exp_()
    return loss, slope.scatter_add_(1, at, slope.new_full(at.shape, -1.0))


def _divergence(logits: Tensor, aim: Aim, temperature: float) -> tuple[Tensor, Tensor]:
    assert aim.hidden is not None
    assert aim.head is not None
    ours = (logits / temperature).log_softmax(dim=-1)
    theirs = (aim.head.logits(aim.hidden) / temperature).log_softmax(dim=-1)
    likely = theirs.exp()
    loss = (likely * theirs.sub_(ours)).sum(dtype=torch.float64) * temperature**2
    return loss, ours.exp_().sub_(likely).mul_(temperature)
