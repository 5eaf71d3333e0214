"""The original as a teacher: what its output layer reads, computed once and kept on disk.

hidden_size values a token instead of vocab_size; in float16, which puts the mean KL divergence off by less than 1e-6.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from compress import drafts
from compress.anatomy.head import head_of, last_hidden
from compress.anatomy.walk import evaluating, refuse_broken
from compress.errors import CompressError
from compress.progress import Progress, silent
from compress.training.precision import autocast
from compress.training.rows import Rows

BATCH_TOKENS = 1024
"""Of one forward pass; bounds memory, not the result."""


class Taught:
    """The teacher's hidden states in front of every token that counts, row after row."""

    def __init__(self, rows: Rows, hidden: np.memmap) -> None:
        """hidden: (tokens, hidden) float16."""
        counts = rows.counted[:, 1:].sum(dim=1)
        self.hidden = hidden
        self.ends = [0, *counts.cumsum(0).tolist()]

    def of(self, chosen: Tensor) -> Tensor:
        """chosen: (some,) numbers of rows. Returns (tokens that count in them, hidden) float16, in that order."""
        parts = [np.asarray(self.hidden[self.ends[row] : self.ends[row + 1]]) for row in chosen.tolist()]
        return torch.from_numpy(np.concatenate(parts))


def before_counted(hidden: Tensor, counted: Tensor) -> Tensor:
    """hidden: (rows, tokens, hidden), counted: (rows, tokens).

    Returns (tokens that count, hidden), in front of them."""
    return hidden[:, :-1][counted[:, 1:]]


def taught(
    original: PreTrainedModel,
    rows: Rows,
    path: Path,
    progress: Progress = silent,
    precision: torch.dtype = torch.float32,
) -> Taught:
    """Read the rows with the original, or read `path` again if it was done before.

    path: the caller's name of this file tells apart originals, rows and precisions. precision: of the pass; bfloat16
    puts the mean KL divergence off by 3e-4 nats (SmolLM2-135M), as it does that of the student beside it. Raises
    CompressError on NaN, or a full disk.
    """
    if not path.exists():
        try:
            _teach(original, rows, path, progress, precision)
        except OSError as error:
            raise CompressError(
                f"{path}: cannot keep the original's hidden states: {error.strerror or error}"
            ) from None
    try:
        return Taught(rows, np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise CompressError(f"{path}: not the original's hidden states: {error}; remove it to start again") from None


def _teach(original: PreTrainedModel, rows: Rows, path: Path, progress: Progress, precision: torch.dtype) -> None:
    width = head_of(original).weight.shape[1]
    total = int(rows.counted[:, 1:].sum())
    many = max(1, BATCH_TOKENS // rows.ids.shape[1])
    with drafts.whole(path) as draft, draft.open("wb") as file, evaluating(original):
        header = {"descr": "<f2", "fortran_order": False, "shape": (total, width)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(rows), many):
            at = slice(start, start + many)
            device = original.device
            with autocast(device, precision):
                found = last_hidden(original, rows.ids[at].to(device), rows.positions[at].to(device))
            found = before_counted(found, rows.counted[at].to(device)).to(torch.float16)
            if not bool(torch.isfinite(found).all()):
                refuse_broken(original, rows.ids[at])
                raise CompressError("the original's last hidden states are too large for half precision")
            file.write(found.cpu().numpy().tobytes())
            progress("asking the original", min(start + many, len(rows)), len(rows))
