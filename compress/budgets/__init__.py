"""Budget rules: one file each. A rule hands one sparsity out over the layers; any rule goes with any `Width` method."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from compress.plugins import Folder

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block
    from compress.calibration.stats import BlockStats
    from compress.planning.apportion import Target

FOLDER = Folder(sys.modules[__name__], "budget")


@dataclass(frozen=True)
class Layer:
    """What a rule may look at in one decoder layer."""

    block: Block
    stats: BlockStats
    channel_scores: Tensor
    """(channels,), as the method gave them."""
    group_scores: Tensor | None
    """(kv_heads,); None: kv groups are left alone."""


@dataclass(frozen=True)
class Shares:
    """What each layer keeps, in [0, 1]; whole channels and groups are counted out of these afterwards."""

    channels: list[float]
    groups: list[float]


class Budget(Protocol):
    """What `plan` asks of a budget rule."""

    @property
    def needs(self) -> frozenset[str]:
        """What calibration has to gather for the rule itself: any of `stats.NEEDS`."""

    def shares(self, layers: Sequence[Layer], target: Target) -> Shares:
        """Shares that together remove `target.weights`."""


def names() -> list[str]:
    """All rules."""
    return FOLDER.names()


def make(name: str, given: Mapping[str, Any]) -> Budget:
    """A rule with its options. Raises ValueError, naming what is allowed."""
    rule: Budget = FOLDER.make(name, given)
    return rule
