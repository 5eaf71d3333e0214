"""Packing: encoded documents -> rows of equal length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel

from compress.anatomy.walk import evaluating
from compress.calibration.calibrate import embedded_tokens
from compress.training.rows import Rows

AHEAD = 64
"""Documents that are looked through for one that fits into what is left of a row."""
TOLERANCE = 5e-2
"""Relative to the largest logit; half precision rounds."""


@dataclass(frozen=True)
class Tokens:
    """One document, or a piece of one."""

    ids: tuple[int, ...]
    counted: tuple[bool, ...]
    """Whether the loss counts each."""
    document: int | None = None
    """Number of the document that it is, or is a piece of; None: it is whole, and has no number."""

    def __len__(self) -> int:
        return len(self.ids)

    def parted(self, length: int) -> tuple[Tokens, Tokens]:
        """The first `length` tokens, and the rest, which may be empty."""
        first = replace(self, ids=self.ids[:length], counted=self.counted[:length])
        return first, replace(self, ids=self.ids[length:], counted=self.counted[length:])


def packed(documents: Sequence[Tokens], window: int, filler: int, together: bool = True) -> Rows:
    """Rows of `window` tokens, all full but the last, which ends with fillers that do not count.

    A row begins with the next document and goes on with the next that fits whole; where none of the next 64 does, the
    next one is cut, and its other part begins the next row as a document of its own. Without `together` every document
    has rows of its own, filled up, for models that cannot keep documents apart.
    """
    groups = [documents] if together else [[document] for document in documents]
    rows = [row for group in groups for row in _arranged(group, window)]
    ids = torch.full((len(rows), window), filler, dtype=torch.long)
    positions = torch.zeros_like(ids)
    counted = torch.zeros_like(ids, dtype=torch.bool)
    for number, row in enumerate(rows):
        start = 0
        for piece in row:
            end = start + len(piece)
            ids[number, start:end] = torch.tensor(piece.ids)
            positions[number, start:end] = torch.arange(len(piece))
            counted[number, start + 1 : end] = torch.tensor(piece.counted[1:], dtype=torch.bool)
            start = end
    return Rows(ids, positions, counted)


def isolates(model: PreTrainedModel) -> bool:
    """Whether the model keeps packed documents apart where positions start again and no mask and no cache is given.

    Transformers does so in its attention masks, eager and sdpa, for all families that hand their positions on to them;
    OPT does not.
    """
    ids = (torch.arange(8, device=model.device) % embedded_tokens(model)).unsqueeze(0)
    positions = torch.arange(8, device=model.device).unsqueeze(0) % 4
    with evaluating(model):
        packed = model(input_ids=ids, position_ids=positions, use_cache=False).logits[0, 4:].float()
        alone = model(input_ids=ids[:, 4:], use_cache=False).logits[0].float()
    return bool((packed - alone).abs().max() <= TOLERANCE * alone.abs().max())


def _arranged(documents: Sequence[Tokens], window: int) -> list[list[Tokens]]:
    waiting = [document for document in documents if document.ids]
    rows: list[list[Tokens]] = []
    space = 0
    while waiting:
        if not space:
            rows.append([])
            space = window
        head, rest = waiting.pop(_next(waiting, space, window)).parted(space)
        rows[-1].append(head)
        space -= len(head)
        if rest.ids:
            waiting.insert(0, rest)
    return rows


def _next(waiting: Sequence[Tokens], space: int, window: int) -> int:
    if space == window:
        return 0  # so that no long document waits for ever
    return next((place for place, document in enumerate(waiting[:AHEAD]) if len(document) <= space), 0)
