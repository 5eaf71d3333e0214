"""Which rows a step reads, and at what learning rate: pure functions, so that a training can go on anywhere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from compress.training.settings import Recovery

FLOOR = 0.1
"""Of the highest learning rate, at the end of the cosine."""


def steps(recovery: Recovery, rows: int) -> int:
    """Steps of the optimiser in all epochs; the last batch of an epoch may be smaller."""
    return recovery.epochs * math.ceil(rows / recovery.batch)


def batch_of(recovery: Recovery, rows: int, step: int) -> Tensor:
    """(batch,) numbers of the rows of one step: every epoch reads all rows in an order of its own."""
    epoch, place = divmod(step, math.ceil(rows / recovery.batch))
    generator = torch.Generator().manual_seed(recovery.seed * 1_000_003 + epoch)
    order = torch.randperm(rows, generator=generator)
    return order[place * recovery.batch : (place + 1) * recovery.batch]


def rate(warmup: float, step: int, total: int) -> float:
    """Share of the highest learning rate at a step: a line up, then a cosine down to FLOOR."""
    rising = math.ceil(warmup * total)
    if step < rising:
        return (step + 1) / rising
    gone = (step - rising) / max(1, total - rising)
    return FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + math.cos(math.pi * gone))
