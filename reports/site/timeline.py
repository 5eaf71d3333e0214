"""Where a history stands in its chart: numbers in, coordinates out, in SVG user units."""

from __future__ import annotations

from dataclasses import dataclass

from reports.site.histories import HistoryPart, HistoryPoint

WIDTH, HEIGHT = 720.0, 180.0
LEFT, RIGHT, TOP, FOOT = 76.0, 712.0, 14.0, 152.0
MOST_DRAWN = 240
"""Newer jobs are drawn, older ones are in the table."""


@dataclass(frozen=True)
class Dot:
    """One job."""

    x: float
    y: float
    point: HistoryPoint
    strong: bool
    """Drawn larger: it has a mark, or is the newest."""


@dataclass(frozen=True)
class Timeline:
    """A history: the line's corners as SVG has them, its dots, levels and the baseline's height."""

    points: str
    dots: tuple[Dot, ...]
    levels: tuple[tuple[float, float, float], ...]
    """From x, to x, y."""
    baseline: float | None
    low: float
    high: float
    """Values at FOOT and TOP."""


def timeline(part: HistoryPart) -> Timeline:
    """Place the newest jobs between the lowest and the highest value; a flat history in the middle."""
    first = max(0, len(part.points) - MOST_DRAWN)
    shown = part.points[first:]
    values = [point.value for point in shown]
    low, high = _range([*values, *([] if part.baseline is None else [part.baseline])])

    def height(value: float) -> float:
        return round(FOOT - (value - low) / (high - low) * (FOOT - TOP), 2)

    step = (RIGHT - LEFT) / max(1, len(shown) - 1)
    across = [round(LEFT + step * index, 2) if len(shown) > 1 else (LEFT + RIGHT) / 2 for index in range(len(shown))]
    last = len(shown) - 1
    dots = tuple(
        Dot(x, height(point.value), point, bool(point.marks) or index == last)
        for index, (x, point) in enumerate(zip(across, shown, strict=True))
    )
    ends = [start - 1 for start, _ in part.levels[1:]] + [len(part.points) - 1]
    levels = tuple(
        (across[max(0, start - first)], across[end - first], height(value))
        for (start, value), end in zip(part.levels, ends, strict=False)
        if end >= first
    )
    points = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    return Timeline(points, dots, levels, None if part.baseline is None else height(part.baseline), low, high)


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high > low:
        return low, high
    room = abs(low) / 100 or 1.0
    return low - room, high + room
