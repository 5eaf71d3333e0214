"""Losses while a recovery was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.charts.axes import Axis, Tick, around
from reports.compression import RecoveryRow

WIDTH = 720.0
LEFT = 52.0
TOP = 12.0
FOOT = 172.0
MOST_DOTS = 30


@dataclass(frozen=True)
class Curve:
    """Two lines by their corners as SVG has them, and both axes."""

    training: str
    held_out: str
    dots: tuple[tuple[float, float], ...]
    """Of the held-out loss; none where there are so many that they would cover the line."""
    tokens: tuple[Tick, ...]
    losses: tuple[Tick, ...]


def place(recovery: RecoveryRow) -> Curve | None:
    """None where there are fewer than two points."""
    points = recovery.points
    if len(points) < 2:
        return None
    trained = [(point.tokens, point.training) for point in points if point.training is not None]
    across = Axis(0.0, max(points[-1].tokens, 1), LEFT, WIDTH - 8)
    up = around([*(point.held_out for point in points), *(loss for _, loss in trained)], FOOT, TOP)
    held_out = [(across.place(point.tokens), up.place(point.held_out)) for point in points]
    training = [(across.place(tokens), up.place(loss)) for tokens, loss in trained]
    dots = tuple(held_out) if len(held_out) <= MOST_DOTS else ()
    return Curve(_corners(training), _corners(held_out), dots, across.ticks(), up.ticks())


def _corners(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
