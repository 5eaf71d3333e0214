"""The history of a metric as one small line."""

from __future__ import annotations

from dataclasses import dataclass

from reports.charts.axes import Axis
from reports.page import TrendRow

WIDTH = 240.0
HEIGHT = 44.0
EDGE = 4.0


@dataclass(frozen=True)
class Sparkline:
    """The line's corners as SVG has them, where it ends, and the height of the baseline."""

    points: str
    x: float
    y: float
    baseline: float | None


def place(row: TrendRow) -> Sparkline:
    """Place one history between its lowest and highest value, the baseline among them; a flat one in the middle."""
    levels = [*row.values, *([] if row.baseline is None else [row.baseline])]
    heights = Axis(min(levels), max(levels), HEIGHT - EDGE, EDGE)
    step = (WIDTH - 2 * EDGE) / max(1, len(row.values) - 1)
    corners = [(round(EDGE + step * number, 2), heights.place(value)) for number, value in enumerate(row.values)]
    x, y = corners[-1]
    baseline = None if row.baseline is None else heights.place(row.baseline)
    return Sparkline(" ".join(f"{a},{b}" for a, b in corners), x, y, baseline)
