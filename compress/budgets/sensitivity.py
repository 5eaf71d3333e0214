"""Sensitivity: what is hurt least without its FFN loses most; measured once, one layer left out at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from compress.budgets import Layer, Shares

if TYPE_CHECKING:
    from compress.planning.apportion import Target

HALVINGS = 60


@dataclass(frozen=True)
class Sensitivity:
    """The damage of a layer that loses the share x of its FFN is taken to be s x^power, s that of losing all of it.

    Damages are added up and made as small as the budget allows: where no bound is met, x follows s^(-1 / (power - 1)).
    Ours. s is the KL divergence from the whole model to the one without this layer's FFN (`calibration.lesions`).

    power: the higher, the more evenly layers lose. floor: the share of its channels that each layer keeps at least.
    On SmolLM2-135M at r_block 0.2 it was not clearly better than the methods' own rules, nor clearly worse.
    """

    power: Annotated[float, Field(ge=1.5, le=100)] = 2.0
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.25

    needs: ClassVar[frozenset[str]] = frozenset({"lesions"})

    def shares(self, layers: Sequence[Layer], target: Target) -> Shares:
        """kv groups get the shares of the channels."""
        damages = [layer.stats.number("lesion") for layer in layers]
        most = max(1.0 - self.floor, target.removed)
        keep = [1.0 - share for share in spread(damages, target.removed, self.power, most)]
        return Shares(keep, keep)


def spread(damages: Sequence[float], removed: float, power: float, most: float) -> list[float]:
    """What each layer loses: shares of mean `removed`, none above `most`, that follow damage^(-1 / (power - 1)).

    0 <= removed <= most. Damages that are nearly nothing count as a thousandth of the largest.
    """
    least = max(max(damages) / 1000, 1e-12)
    wanted = [max(damage, least) ** (-1.0 / (power - 1.0)) for damage in damages]

    def mean(scale: float) -> float:
        return math.fsum(min(most, scale * want) for want in wanted) / len(wanted)

    low, high = 0.0, most / min(wanted)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if mean(middle) < removed:
            low = middle
        else:
            high = middle
    return [min(most, high * want) for want in wanted]
