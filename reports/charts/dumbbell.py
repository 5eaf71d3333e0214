"""A tag's pass rates before and after, on an axis from 0 to 100 %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports.charts.axes import Axis
from reports.page import TagRow

WIDTH = 300.0
EDGE = 10.0


@dataclass(frozen=True)
class Dumbbell:
    """Both ends."""

    before: float
    after: float
    change: Literal["better", "worse", "same"]
    """Of the bare numbers; no test."""


def place(tag: TagRow) -> Dumbbell:
    """Place one tag's pass rates."""
    axis = Axis(0.0, 1.0, EDGE, WIDTH - EDGE)
    change: Literal["better", "worse", "same"]
    change = "same" if tag.after == tag.before else "better" if tag.after > tag.before else "worse"
    return Dumbbell(axis.place(tag.before), axis.place(tag.after), change)
