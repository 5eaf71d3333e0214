"""How torch says that memory does not suffice."""

from __future__ import annotations


def is_out_of_memory(error: Exception) -> bool:
    """Whether smaller pieces may still fit."""
    import torch

    # On a CPU torch raises a plain RuntimeError that says "can't allocate memory".
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)
