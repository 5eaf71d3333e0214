"""Pieces: stretches of long texts, in turns from all documents, so that as many tokens tell of more of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from compress.training.packing import Tokens


def in_turns(documents: Iterator[Tokens], length: int, seed: int) -> Iterator[Tokens]:
    """Of every document a piece drawn at random, then of every one a second, and so on until all are read.

    Pieces have `length` tokens, the last one of a document the rest.
    """
    waiting = []
    for number, document in enumerate(documents):
        pieces = list(_parts(document, length))
        random.Random(f"{seed} {number}").shuffle(pieces)
        yield pieces.pop()
        waiting.append(pieces)
    while waiting := [pieces for pieces in waiting if pieces]:
        for pieces in waiting:
            yield pieces.pop()


def _parts(document: Tokens, length: int) -> Iterator[Tokens]:
    rest = document
    while len(rest) > length:
        piece, rest = rest.parted(length)
        yield piece
    yield rest
