"""Gate: a rule on one metric, as a plan states it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from harness.plan_models import Line, Part
from harness.records import ORIGINAL

LIMITS = ("margin", "max", "min", "max_ratio", "min_ratio")
BASELINE = "baseline:"


def _reference(given: str) -> str:
    if given != ORIGINAL and not given.removeprefix(BASELINE).strip():
        raise ValueError(f"{given!r} names no baseline; give {BASELINE}NAME")
    if given != ORIGINAL and not given.startswith(BASELINE):
        raise ValueError(f"{given!r} is neither {ORIGINAL} nor {BASELINE}NAME")
    return given


Reference = Annotated[Line, AfterValidator(_reference)]
"""What a candidate is held against: the original, or the newest result blessed under a name."""


class Where(Part):
    """Which items a gate looks at."""

    tag: Line


class Gate(Part):
    """A rule on one metric; exactly one limit.

    margin: non-inferior within this much, in the metric's unit. max, min: of the candidate's own value.
    max_ratio, min_ratio: of candidate over what it is held against.
    """

    metric: Line
    margin: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    min: float | None = Field(default=None, allow_inf_nan=False)
    max_ratio: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    min_ratio: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    where: Where | None = None
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    severity: Literal["block", "warn"] = "block"
    against: Reference = ORIGINAL

    @model_validator(mode="after")
    def _one_limit(self) -> Gate:
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(LIMITS)}; found {', '.join(given) or 'none'}")
        return self

    @property
    def title(self) -> str:
        """The metric, with the items and the reference where those are not the usual ones."""
        where = f" [{self.where.tag}]" if self.where else ""
        return self.metric + where + ("" if self.against == ORIGINAL else f" against {self.against}")

    @property
    def scope(self) -> str:
        """Which items it looks at and what it is against, such as "tag critical"; empty: all, and the original."""
        items = [f"tag {self.where.tag}"] if self.where else []
        return ", ".join([*items, *([] if self.against == ORIGINAL else [f"against {self.against}"])])

    @property
    def reference(self) -> str:
        """What the candidate is held against, as sentences name it."""
        return "the original" if self.against == ORIGINAL else self.against
