"""FLAP's adaptive search over the whole model (arXiv 2312.11983): standardised scores of all layers in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from compress.budgets import Layer, Shares

if TYPE_CHECKING:
    from compress.planning.apportion import Target


@dataclass(frozen=True)
class Flap:
    """Whatever scores lowest in the whole model goes, after the scores of each layer are standardised.

    standardise: z-scores within each layer and kind, see `global_shares`. False: the scores as they are; with the
    method `flap`, whose scores are z-scores already, that is the paper's search for heads and channels together.
    floor: share of its channels that each layer keeps at least.
    """

    standardise: bool = True
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0

    needs: ClassVar[frozenset[str]] = frozenset()

    def shares(self, layers: Sequence[Layer], target: Target) -> Shares:
        """See `global_shares`."""
        from compress.planning.globally import global_shares

        return global_shares(layers, target, self.standardise, self.floor)
