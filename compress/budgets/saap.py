"""SAAP's search over the whole model (arXiv 2412.15127), a reconstruction: the lowest scores go, whichever layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from compress.budgets import Layer, Shares

if TYPE_CHECKING:
    from compress.planning.apportion import Target


@dataclass(frozen=True)
class Saap:
    """One list of all channels and kv groups, each counted by the weights that it takes along, with a floor per layer.

    floor: the least that any layer keeps of its channels, as a share of what an average layer keeps.
    standardise: z-scores within each layer and kind first, as in `global_shares`, where few kv groups go. False: the
    scores as they are, for a method whose scores already compare between layers.
    """

    floor: Annotated[float, Field(ge=0, lt=1)] = 0.5
    standardise: bool = True

    needs: ClassVar[frozenset[str]] = frozenset()

    def shares(self, layers: Sequence[Layer], target: Target) -> Shares:
        """See `global_shares`."""
        from compress.planning.globally import global_shares

        return global_shares(layers, target, self.standardise, self.floor * (1.0 - target.removed))
