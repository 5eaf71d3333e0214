"""Blend: any weighted mix of what other methods think of the same channels and kv groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from compress import methods

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block
    from compress.calibration.stats import BlockStats
    from compress.methods import Width

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Ingredient:
    """One method of the mix, where the weight alone does not say it."""

    weight: Weight = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    """The method's own."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Blend:
    """Weighted sum of the z-scores that other methods give within each layer.

    of: by name of the method its weight, or its weight and options.
    """

    of: dict[str, Weight | Ingredient] = field(default_factory=lambda: {"cfsp": 1.0, "flap": 1.0})
    attention: bool = False
    round_to: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"

    removes: ClassVar[Literal["width"]] = "width"
    budget: ClassVar[str] = "cfsp"

    def __post_init__(self) -> None:
        if not self.of:
            raise ValueError("of: name at least one method")
        for name, given in self.of.items():
            if name == "blend":
                raise ValueError("of: a blend cannot hold a blend; put the methods of both into one")
            if isinstance(given, Ingredient) and given.options.keys() & {"attention", "round_to"}:
                raise ValueError(f"of.{name}: attention and round_to are the blend's own options")
            if methods.make(name, _options(given)).removes != "width":
                raise ValueError(f"of: {name} does not score channels, so it cannot be blended")

    @property
    def needs(self) -> frozenset[str]:
        """All that one of the mixed methods needs."""
        return frozenset[str]().union(*(method.needs for _, method in self._mixed()))

    def channel_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Sum of weight times z-score."""
        from compress.planning.globally import z_scores

        scored = [weight * z_scores(method.channel_scores(block, stats, seed)) for weight, method in self._mixed()]
        return sum(scored[1:], scored[0])

    def group_scores(self, block: Block, stats: BlockStats, seed: int) -> Tensor:
        """Sum of weight times z-score."""
        from compress.planning.globally import z_scores

        scored = [weight * z_scores(method.group_scores(block, stats, seed)) for weight, method in self._mixed()]
        return sum(scored[1:], scored[0])

    def _mixed(self) -> Iterator[tuple[float, Width]]:
        for name, given in self.of.items():
            weight = given.weight if isinstance(given, Ingredient) else given
            yield weight, methods.make(name, _options(given))


def _options(given: float | Ingredient) -> Mapping[str, Any]:
    return given.options if isinstance(given, Ingredient) else {}
