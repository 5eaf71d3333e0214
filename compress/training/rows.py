"""Rows: what a trainer reads, token by token."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from compress.training.facts import SourceFacts


@dataclass(frozen=True)
class Rows:
    """Packed documents."""

    ids: Tensor
    """(rows, window) int64 token ids."""
    positions: Tensor
    """(rows, window) int64; starts again at 0 with every document, and tokens of different documents in one row do not
    see each other."""
    counted: Tensor
    """(rows, window) bool: whether the loss counts the prediction of this token from those before it; never the first
    token of a document."""

    def __len__(self) -> int:
        return len(self.ids)

    def between(self, first: int, end: int) -> Rows:
        """Rows `first` to `end`, without the last."""
        return Rows(self.ids[first:end], self.positions[first:end], self.counted[first:end])

    def read(self, chosen: Tensor) -> int:
        """Tokens of documents in these rows, without what fills them up: it has position 0, and no 1 comes after it."""
        positions = self.positions[chosen]
        return int((positions > 0).sum() + (positions == 1).sum())

    @property
    def tokens(self) -> int:
        """Tokens whose prediction counts."""
        return int(self.counted.sum())


@dataclass(frozen=True)
class Corpus:
    """What a recovery trains on."""

    train: Rows
    held_out: Rows
    facts: tuple[SourceFacts, ...]
