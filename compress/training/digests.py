"""Checksums of what a training depends on."""

from __future__ import annotations

import hashlib

import torch
from transformers import PreTrainedModel

from compress.training.rows import Rows


def rows_digest(rows: Rows) -> str:
    """sha256 of all that a teacher's or a student's pass over these rows depends on."""
    found = hashlib.sha256(repr(tuple(rows.ids.shape)).encode())
    for part in (rows.ids, rows.positions, rows.counted):
        found.update(part.contiguous().numpy().tobytes())
    return found.hexdigest()


def weights_digest(model: PreTrainedModel) -> str:
    """Of all weights: sum and norm by tensor, which any other pruning or start changes."""
    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        sums = value.sum(dtype=torch.float64), torch.linalg.vector_norm(value, dtype=torch.float64)
        found.update(f"{name} {tuple(value.shape)} {' '.join(float(x).hex() for x in sums)}\n".encode())
    return found.hexdigest()
