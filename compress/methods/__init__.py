"""Compression methods: one file each. A method decides; it never touches the model.

What a method removes is one of three things, and each has its Protocol: channels and kv groups (`Width`), single
weights (`Sparse`), or whole layers (`Depth`). `removes` says which.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from compress.plugins import Folder

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block, Projection
    from compress.calibration.stats import BlockStats, Inputs, Stats

FOLDER = Folder(sys.modules[__name__], "method")

Removes = Literal["width", "weights", "layers"]
Modules = Literal["all", "mlp", "attention"]
Sequential = Literal[False, "layer", "projection"]


class Method(Protocol):
    """What all methods have."""

    @property
    def removes(self) -> Removes:
        """Which of the three Protocols below this is."""

    @property
    def needs(self) -> frozenset[str]:
        """What calibration has to gather: any of `stats.NEEDS`; empty: no data."""


class Width(Method, Protocol):
    """Removes FFN channels, and kv groups if asked; matrices get narrower."""

    @property
    def attention(self) -> bool:
        """Whether kv groups are removed besides FFN channels."""

    @property
    def round_to(self) -> int | Literal["auto"]:
        """FFN widths are multiples of this. auto: 128 where the FFN is 4096 wide or more, else 8."""

    @property
    def budget(self) -> str:
        """The rule in `budgets` that hands out the sparsity over layers, if the recipe names none."""

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """(channels,) importance of each FFN channel; the highest stay."""

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """(kv_heads,) importance of each kv group; the highest stay."""


@dataclass(frozen=True)
class Site:
    """Which weights a `Sparse` method is asked about."""

    block: int
    blocks: int
    """How many decoder layers there are."""
    projection: Projection
    sparsity: float
    """Share of the weights to zero; not read where a pattern says it."""
    seed: int


class Sparse(Method, Protocol):
    """Zeroes single weights; matrices keep their sizes."""

    @property
    def modules(self) -> Modules:
        """Which projections are touched."""

    @property
    def sequential(self) -> Sequential:
        """What a projection's inputs are read from. False: the original model.

        "layer": the sparse layers before it and its own layer as it was, as published; two passes. "projection": its
        own layer's sparse projections before it too; one pass, which holds all calibration tokens of a layer at once.
        """

    def kept(self, block: int, blocks: int) -> tuple[int, int] | None:
        """(N, M) of the pattern in this layer: N of every M neighbouring inputs stay; None: no pattern."""

    def sparse(self, site: Site, inputs: Inputs | None) -> Tensor:
        """(out, in) the new weight of one projection. inputs: None unless `needs` asks for them."""


class Depth(Method, Protocol):
    """Removes whole decoder layers."""

    def layer_scores(self, stats: Stats) -> list[float]:
        """Importance of each layer; the lowest go."""

    def removed(self, stats: Stats, count: int) -> list[int]:
        """Ascending indices of the `count` layers to remove."""


def names() -> list[str]:
    """All methods."""
    return FOLDER.names()


def make(name: str, given: Mapping[str, Any]) -> Any:
    """A method with its options: a Width, Sparse or Depth. Raises ValueError, naming what is allowed."""
    return FOLDER.make(name, given)
