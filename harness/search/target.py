"""What a plan wants a search to reach: a speed, or a memory; the best model that does is looked for."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from harness.gates import Gate
from harness.plan_models import Part

METRICS = {
    "decode_tokens_per_second": "speed.decode",
    "prefill_tokens_per_second": "speed.prefill",
    "memory": "memory.weights",
}
"""Key of a target -> the metric that measures it."""
RATIO = re.compile(r"(\d+(?:\.\d+)?)x")


def _known(given: str | float) -> str | float:
    if isinstance(given, str) and not RATIO.fullmatch(given):
        raise ValueError(f"{given!r} is no target; give a number, or a multiple of the original's like 1.3x")
    return given


Goal = Annotated[Annotated[float, Field(gt=0, allow_inf_nan=False)] | str, AfterValidator(_known)]


class Target(Part):
    """One thing that the winner must reach; "1.3x" is a multiple of the original's."""

    decode_tokens_per_second: Goal | None = None
    prefill_tokens_per_second: Goal | None = None
    memory: Goal | None = None
    """Bytes of the weights, at most."""

    @model_validator(mode="after")
    def _one_of_sense(self) -> Target:
        given = [name for name in METRICS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(METRICS)}; found {', '.join(given) or 'none'}")
        if self.relative and (self.value <= 1) == (self.metric != "memory.weights"):
            side = "below" if self.metric == "memory.weights" else "above"
            raise ValueError(f"{given[0]}: {self.value:g}x asks nothing of a cut; give a multiple {side} 1x")
        return self

    @property
    def metric(self) -> str:
        return next(metric for name, metric in METRICS.items() if getattr(self, name) is not None)

    @property
    def relative(self) -> bool:
        """Whether it is a multiple of the original's."""
        return isinstance(self._given, str)

    @property
    def value(self) -> float:
        return float(str(self._given).removesuffix("x"))

    @property
    def gate(self) -> Gate:
        """What the winner's verdict must show of it."""
        name = ("max" if self.metric == "memory.weights" else "min") + ("_ratio" if self.relative else "")
        return Gate.model_validate({"metric": self.metric, name: self.value})

    def shown(self, value: float) -> str:
        """A value on the target's scale."""
        unit = "x" if self.relative else " bytes" if self.metric == "memory.weights" else " tokens/s"
        return f"{value:,.0f}{unit}" if value >= 1000 else f"{value:.3g}{unit}"

    def reached(self, value: float) -> bool:
        """Whether a value on the target's scale is enough."""
        return value <= self.value if self.metric == "memory.weights" else value >= self.value

    @property
    def _given(self) -> float | str:
        found: float | str = next(given for name in METRICS if (given := getattr(self, name)) is not None)
        return found
