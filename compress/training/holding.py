"""Holding out: how many tokens each source gives, and which documents are kept from training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compress.errors import CompressError
from compress.training.packing import Tokens
from compress.training.settings import Data

FLOOR = 256
"""Held-out tokens that should count, over all sources."""
WINDOWS = 8
"""A longer document does not make up the held-out rows alone: only so many windows of it are read."""


@dataclass(frozen=True)
class Quota:
    """What one source is asked for."""

    train: int
    """Tokens."""
    share: float
    """Held-out tokens by training tokens."""
    floor: int
    """Held-out tokens that should count."""
    longest: int
    """Tokens of one held-out document at most."""

    @property
    def held(self) -> int:
        """Held-out tokens."""
        return math.ceil(self.share * self.train)

    @property
    def total(self) -> int:
        """All tokens, if nothing is masked."""
        return self.train + max(self.held, self.floor)

    def missing(self, held: Sequence[Tokens], train: Sequence[Tokens]) -> int:
        """Tokens that are still to be read, at least."""
        short = self.train - size(train), self.held - size(held), self.floor - counted(held)
        return max(0, short[0]) + max(0, short[1], short[2])


def quotas(data: Data) -> list[Quota]:
    """One for each source: its own number of tokens, else an even share of what those leave.

    Raises CompressError where that is more than all, or leaves nothing.
    """
    named = sum(source.tokens or 0 for source in data.sources)
    others = sum(source.tokens is None for source in data.sources)
    if named + others > data.tokens:
        raise CompressError(
            f"training data: the sources ask for {named} tokens{' and leave nothing for the others' * bool(others)}; "
            f"'tokens' of all data is {data.tokens}"
        )
    rest, found = data.tokens - named, []
    for source in data.sources:
        if (tokens := source.tokens) is None:
            tokens = math.ceil(rest / others)
            rest, others = rest - tokens, others - 1
        found.append(Quota(tokens, data.held_out, math.ceil(FLOOR / len(data.sources)), WINDOWS * data.window))
    return found


def parted(pool: Sequence[Tokens], quota: Quota) -> tuple[list[Tokens], list[Tokens]]:
    """(held out, training) documents: the first ones are held out, as many as the quota says; one is always left.

    Where the pool is small, its share is held out, and more until the floor is reached, but for that no more than a
    quarter of what counts; a document with more than half of all tokens is trained on. Training ends at the quota.
    """
    total = size(pool)
    aim, floor = quota.share * min(total, quota.train), min(quota.floor, counted(pool) // 4)
    held: list[Tokens] = []
    train: list[Tokens] = []
    for place, document in enumerate(pool):
        last = place == len(pool) - 1 and not train
        if (aim > 0 or floor > 0) and not last and 2 * len(document) <= total:
            held.append(document.parted(quota.longest)[0])
            aim -= len(held[-1])
            floor -= counted(held[-1:])
        else:
            train.append(document)
    gone = {document.document for document in held} - {None}  # of which only a piece is held out
    return held, first([document for document in train if document.document not in gone], quota.train)


def first(documents: Sequence[Tokens], tokens: int) -> list[Tokens]:
    """The first tokens; the last document may be cut."""
    found = []
    for document in documents:
        if tokens <= 0:
            break
        found.append(document.parted(tokens)[0])
        tokens -= len(document)
    return found


def size(documents: Sequence[Tokens]) -> int:
    """Tokens."""
    return sum(map(len, documents))


def counted(documents: Sequence[Tokens]) -> int:
    """Tokens that the loss counts."""
    return sum(sum(document.counted) for document in documents)
