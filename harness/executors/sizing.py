"""How many GPUs a model needs of a cluster, and how many workers the cluster has room for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.models.placement import not_plain
from harness.models.weighing import weight_bytes

if TYPE_CHECKING:
    from harness.executors.errands import Errand

SHARE = 0.7
"""Of a GPU's memory that weights may take; caches, activations and logits need the rest."""


@dataclass(frozen=True)
class Cluster:
    """What the nodes of a cluster have together."""

    cores: int
    gpus: tuple[int, ...] = ()
    """Of each node that has some."""
    gpu_bytes: int | None = None
    """Memory of the smallest GPU; None: not known, and then a model is taken to fit into one."""

    def needed(self, errand: Errand) -> int | None:
        """GPUs for its model, at most those of one node, the rest then waits in its memory; 0: there are none.

        None: it needs the model on one device, which is too small.
        """
        if not self.gpus:
            return 0
        spec = errand.spec
        if isinstance(spec.device_map, Mapping):
            return min(_highest(spec.device_map) + 1, max(self.gpus))
        size = weight_bytes(spec) if self.gpu_bytes else None
        if not size or not self.gpu_bytes:
            return 1
        count = max(1, math.ceil(errand.copies * size / (SHARE * self.gpu_bytes)))
        if count > 1 and errand.copies > 1:
            return None
        return 1 if not_plain(spec) else min(count, max(self.gpus))

    def room(self, gpus: int) -> int:
        """Workers with so many GPUs each, or with none."""
        return sum(count // gpus for count in self.gpus) if gpus else max(1, self.cores)

    @property
    def units(self) -> int:
        """What workers share: GPUs, or where there are none, cores."""
        return sum(self.gpus) or max(1, self.cores)


def _highest(placed: Mapping[str, int | str]) -> int:
    """The highest number of a GPU; 0 where none is named."""
    names = (str(device).removeprefix("cuda:") for device in placed.values())
    return max((int(name) for name in names if name.isdigit()), default=0)
