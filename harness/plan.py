"""Plan and Gate: the file the user writes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LIMITS = ("margin", "max", "min", "max_ratio", "min_ratio")


class Part(BaseModel):
    """A piece of the plan: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Where(Part):
    """Which items a gate looks at."""

    tag: str


class Gate(Part):
    """A rule on one metric; exactly one limit.

    margin: non-inferior within this much, in the metric's unit. max, min: of the candidate's own value.
    max_ratio, min_ratio: of candidate over original.
    """

    metric: str
    margin: float | None = Field(default=None, gt=0)
    max: float | None = None
    min: float | None = None
    max_ratio: float | None = Field(default=None, gt=0)
    min_ratio: float | None = Field(default=None, gt=0)
    where: Where | None = None
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    severity: Literal["block", "warn"] = "block"

    @model_validator(mode="after")
    def _one_limit(self) -> Gate:
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(LIMITS)}; found {', '.join(given) or 'none'}")
        return self


class Benchmark(Part):
    """One lm-eval task, or group of tasks."""

    task: str
    limit: int | None = Field(default=None, gt=0)
    num_fewshot: int | None = Field(default=None, ge=0)
    apply_chat_template: bool = False


class Fidelity(Part):
    """Token-level comparison on a text corpus: "builtin", a .txt file or a .jsonl file."""

    corpus: str = "builtin"
    field: str = "text"
    window: int = Field(default=512, ge=16)
    """Tokens in one window at most; a window never crosses a document."""
    tokens: int = Field(default=20_000, ge=100)
