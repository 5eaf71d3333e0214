"""How a metric of one candidate of one plan went, job after job, and what is unusual in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class Point:
    """One job."""

    started: datetime
    job: str
    fingerprint: str
    """Of the candidate."""
    value: float
    decision: str
    original: float | None = None
    """The original's value in the same job; None: it has none."""


@dataclass(frozen=True)
class History:
    """Points are oldest first, jobs without a value left out."""

    plan: str
    candidate: str
    metric: str
    unit: str
    higher_is_better: bool
    items: int
    """In the newest job; 0 for a reading."""
    points: tuple[Point, ...]
    margin: float | None = None
    """Of the newest gate on it."""
    baseline: str = ""
    """Name of the newest baseline among the points; empty: none was blessed."""
    blessed: int | None = None
    """Its index."""

    @property
    def worsening(self) -> int:
        """What a fall of the value is multiplied by, so that positive is worse."""
        return 1 if self.higher_is_better else -1


@dataclass(frozen=True)
class Event:
    """Something unusual, first seen at the point of this index."""

    kind: Literal["change", "outlier", "drift"]
    index: int
    worse: bool
    now: bool
    """Whether it still holds at the newest point."""
    sentence: str
