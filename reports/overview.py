"""What is said of all candidates together, as plain frozen values: the beginning of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Highlight:
    """One of the worst or best things of a job; chance is an unlikely reason for it."""

    tone: Literal["worse", "better"]
    candidate: str
    what: str
    """A metric, or a tag of a suite."""
    unit: str
    before: float | None
    after: float | None
    why: str = ""
    """What makes it one, for example "gate: at most 0"; empty: the bounds do."""
    low: float | None = None
    """Bounds of the change, positive; None: read exactly, or of a gate."""
    high: float | None = None


@dataclass(frozen=True)
class TradePoint:
    """One model in a trade-off chart."""

    name: str
    """"original", or the candidate's."""
    x: float
    y: float
    low: float | None = None
    """Bounds of y, where known."""
    high: float | None = None


@dataclass(frozen=True)
class Tradeoff:
    """What quality costs: one quality metric, larger is better, against one resource."""

    quality: str
    quality_unit: str
    resource: str
    resource_unit: str
    cheaper: Literal["lower", "higher"]
    """The better side of the resource."""
    points: tuple[TradePoint, ...]
    """The original first."""


@dataclass(frozen=True)
class SpreadRow:
    """One metric of candidates that differ in nothing but their seed."""

    candidates: tuple[str, ...]
    metric: str
    unit: str
    values: tuple[float, ...]
    """One a candidate, in the same order."""
