"""What a plan says of a search: which methods, between which sparsities, for how long."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.plan_models import Line, Part
from harness.search.target import Target

Half = Literal["searched", "held_out"]
"""Of all cases and documents of a plan: those that a search chooses by, or those that its finalists are judged by."""
Measure = Literal["parameters", "memory", "latency"]
DURATION = re.compile(r"(\d+(?:\.\d+)?) *(s|m|h)")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(given: object) -> object:
    """ "90s", "45m" or "2h" in seconds; anything else as it is. Raises ValueError for text of another form."""
    if not isinstance(given, str):
        return given
    found = DURATION.fullmatch(given.strip())
    if found is None:
        raise ValueError(f"{given!r} is no duration; give one like 90s, 45m or 2h")
    return float(found[1]) * SECONDS[found[2]]


class Screen(Part):
    """The cheap first look: a few cuts of every method, and how far each leads away from the original on text."""

    tokens: int = Field(default=2000, ge=200)
    """Of the searched half of the plan's fidelity corpora; without fidelity in the plan, of the built-in text."""
    window: int = Field(default=256, ge=16)
    cuts: int = Field(default=4, ge=2, le=20)
    """Sparsities, evenly from the lowest to the highest."""


class Search(Part):
    """Which candidates there could be, and how long to look among them."""

    methods: list[Line] = Field(min_length=1)
    """Names of methods, or recipes by name or file, whose sparsity is varied."""
    sparsity: tuple[float, float] = (0.05, 0.5)
    """The lowest and the highest."""
    recovery: list[Line] = Field(default=["none"], min_length=1)
    """Every method goes with every one of them: none, layerwise, lora, distill or full."""
    minimise: Measure = "parameters"
    target: Target | None = None
    """What must be reached, by as good a model as can be; instead of minimising."""
    budget: Annotated[float, BeforeValidator(seconds_of), Field(gt=0, allow_inf_nan=False)] = 7200.0
    """Seconds of work, those before an interruption counted; with a unit: "2h"."""
    resolution: float = Field(default=0.02, ge=0.001, lt=0.5)
    """How near to each other the largest sparsity that holds and the smallest that does not must come."""
    screen: Screen = Screen()

    @model_validator(mode="after")
    def _one_aim(self) -> Search:
        if self.target is not None and "minimise" in self.model_fields_set:
            raise ValueError("give either 'target' or 'minimise'")
        return self

    @field_validator("sparsity")
    @classmethod
    def _a_range(cls, given: tuple[float, float]) -> tuple[float, float]:
        if not 0 < given[0] < given[1] < 1:
            raise ValueError("give the lowest and the highest sparsity, both between 0 and 1, like [0.05, 0.5]")
        return given
