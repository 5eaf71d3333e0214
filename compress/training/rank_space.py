"""Which ranks the layers may have, and what they may cost together."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from compress.errors import CompressError

Ranks = tuple[int, ...]
"""By decoder layer."""


@dataclass(frozen=True)
class RankSpace:
    """All rank vectors that cost no more than uniform ranks; far too many to list, so they are only drawn."""

    rank: int
    """Of every layer in the uniform allocation, and of every pinned layer always."""
    costs: tuple[int, ...]
    """Weights that one rank adds, by layer: d_in + d_out, summed over its projections as pruning left them."""
    choices: tuple[int, ...]
    """Ranks that a layer may have."""
    pinned: frozenset[int] = frozenset()
    """Layers that keep the uniform rank."""

    def __post_init__(self) -> None:
        if not self.choices or min(self.choices) < 1 or min(self.choices) > self.rank:
            allowed = f"1 or more, one of them at most the mean rank {self.rank}"
            raise CompressError(f"rank choices {list(self.choices)}: ranks must be {allowed}")

    @property
    def uniform(self) -> Ranks:
        """The same rank everywhere; its cost is the budget."""
        return (self.rank,) * len(self.costs)

    @property
    def free(self) -> tuple[int, ...]:
        """Layers whose rank may vary."""
        return tuple(layer for layer in range(len(self.costs)) if layer not in self.pinned)

    def cost(self, ranks: Sequence[int]) -> int:
        """Weights of all adapters."""
        return sum(rank * cost for rank, cost in zip(ranks, self.costs, strict=True))

    def step(self, rank: int, up: bool) -> int | None:
        """The next choice above or below a rank; None: there is none."""
        if up:
            return min((choice for choice in self.choices if choice > rank), default=None)
        return max((choice for choice in self.choices if choice < rank), default=None)


def quarters(rank: int) -> tuple[int, ...]:
    """1 to 6 quarters of a rank, whole and at least 1; of 8: 2, 4, 6, 8, 10, 12, the choices in RankAdaptor's data."""
    return tuple(sorted({max(1, round(rank * part / 4)) for part in range(1, 7)}))


def projected(space: RankSpace, ranks: Sequence[int], draw: random.Random) -> Ranks:
    """Lower layers at random, step by step, until the budget holds; then raise them as long as it still does.

    So what is compared with uniform ranks costs nearly as much, and never more.
    """
    found, budget = list(ranks), space.cost(space.uniform)
    spent = space.cost(found)
    for up in (False, True):
        left = list(space.free)
        while left and (up or spent > budget):
            layer = draw.choice(left)
            rank = space.step(found[layer], up)
            after = spent + ((rank or 0) - found[layer]) * space.costs[layer]
            if rank is None or (up and after > budget):
                left.remove(layer)
            else:
                found[layer], spent = rank, after
    return tuple(found)


def candidates(space: RankSpace, incumbent: Ranks, count: int, draw: random.Random) -> list[Ranks]:
    """`count` drawn at random and as many mutations of the incumbent, all within the budget, each vector once."""
    drawn = [_random(space, draw) for _ in range(count)]
    drawn += [(_swapped if index % 2 else _resampled)(space, incumbent, draw) for index in range(count)]
    return list(dict.fromkeys(projected(space, ranks, draw) for ranks in drawn))


def _random(space: RankSpace, draw: random.Random) -> Ranks:
    """Any choice in every free layer."""
    return tuple(
        space.rank if layer in space.pinned else draw.choice(space.choices) for layer in range(len(space.costs))
    )


def _swapped(space: RankSpace, ranks: Ranks, draw: random.Random) -> Ranks:
    """The ranks of two free layers exchanged, where there are two."""
    found = list(ranks)
    if len(space.free) > 1:
        first, second = draw.sample(space.free, 2)
        found[first], found[second] = found[second], found[first]
    return tuple(found)


def _resampled(space: RankSpace, ranks: Ranks, draw: random.Random) -> Ranks:
    """Another choice in one free layer, where there is one."""
    found = list(ranks)
    if space.free:
        found[draw.choice(space.free)] = draw.choice(space.choices)
    return tuple(found)
