"""Scores -> which channels or kv groups stay."""

from __future__ import annotations

import torch
from torch import Tensor

from compress.errors import CompressError


def top(scores: Tensor, count: int, where: str) -> tuple[int, ...]:
    """Ascending indices of the `count` highest scores; equal scores: the lower index stays.

    scores: (n,). Raises CompressError when a score is not finite, naming `where`.
    """
    if not bool(torch.isfinite(scores).all()):
        raise CompressError(f"{where}: a score is NaN or infinite; the weights or activations of this layer are broken")
    order = torch.sort(scores, descending=True, stable=True).indices[:count]
    return tuple(sorted(order.tolist()))
