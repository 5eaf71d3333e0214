"""Quality against a resource, and the models that no other beats in both: the Pareto front."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reports.charts.axes import Tick, around
from reports.overview import Tradeoff, TradePoint

WIDTH = 340.0
LEFT = 40.0
TOP = 14.0
FOOT = 218.0
HEIGHT = 258.0
EDGE = 16.0
LETTER = 7.0
"""User units a letter of a name takes, about."""
SPOT = 6.0
"""Half the width of a model's mark."""
LIFTS = (-7.0, 15.0, 4.0, -21.0, 29.0)
"""How far below its model a name may stand, the best first."""
LOW_LIFTS = (15.0, 29.0, 4.0, -7.0, -21.0)
"""Where another model is right above: beside that one, the name would be taken for its."""
NEAR = 30.0

Place = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, foot."""


@dataclass(frozen=True)
class Label:
    """Where a name is written."""

    x: float
    y: float
    """Of the line it stands on."""
    anchor: Literal["start", "end"]


@dataclass(frozen=True)
class Spot:
    """One model."""

    point: TradePoint
    x: float
    y: float
    low: float | None
    high: float | None
    best: bool
    """On the front."""
    label: Label


@dataclass(frozen=True)
class Chart:
    """All models, and both axes."""

    spots: tuple[Spot, ...]
    front: str
    """Corners of the front as SVG has them, from cheap to dear, as stairs."""
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]


def place(tradeoff: Tradeoff) -> Chart:
    """Place all models; the better quality is up."""
    points = tradeoff.points
    across = around([point.x for point in points], LEFT, WIDTH - EDGE, room=0.12)
    bounds = [value for point in points for value in (point.low, point.high) if value is not None]
    up = around([*(point.y for point in points), *bounds], FOOT, TOP)
    if tradeoff.quality_unit == "share":
        up = replace(up, low=max(0.0, up.low), high=min(1.0, up.high))
    best = front(tradeoff)
    places = [(across.place(point.x), up.place(point.y)) for point in points]
    labels = _labels([point.name for point in points], places)
    spots = tuple(
        Spot(
            point=point,
            x=x,
            y=y,
            low=None if point.low is None else up.place(point.low),
            high=None if point.high is None else up.place(point.high),
            best=point in best,
            label=label,
        )
        for point, (x, y), label in zip(points, places, labels, strict=True)
    )
    stairs = _stairs([(across.place(point.x), up.place(point.y)) for point in best])
    return Chart(spots, stairs, across.ticks(), up.ticks())


def front(tradeoff: Tradeoff) -> list[TradePoint]:
    """Those than which no other model is at least as good in both and better in one; cheapest first."""
    sign = 1.0 if tradeoff.cheaper == "lower" else -1.0
    found, best = list[TradePoint](), -math.inf
    for point in sorted(tradeoff.points, key=lambda point: (sign * point.x, -point.y)):
        if point.y > best:
            found.append(point)
            best = point.y
    return found


def _stairs(corners: Sequence[Place]) -> str:
    """From the cheapest across to the price of the next, then up to it: the best that can be had for so much."""
    steps = [corner for here, there in itertools.pairwise(corners) for corner in (here, (there[0], here[1]))]
    return " ".join(f"{x},{y}" for x, y in [*steps, *corners[-1:]])


def _labels(names: Sequence[str], places: Sequence[Place]) -> list[Label]:
    """For each name the first place beside its model that is free and inside, or where none is, the first."""
    taken = [(x - SPOT, y - SPOT, x + SPOT, y + SPOT) for x, y in places]
    found = []
    for name, (x, y) in zip(names, places, strict=True):
        covered = any(abs(east - x) < NEAR and 0 < y - north < NEAR for east, north in places)
        lifts = LOW_LIFTS if covered else LIFTS
        tries = [Label(x + dx, y + dy, "start" if dx > 0 else "end") for dy in lifts for dx in (9.0, -9.0)]
        free = (label for label in tries if _is_free(_box(name, label), taken))
        found.append(next(free, tries[0]))
        taken.append(_box(name, found[-1]))
    return found


def _box(name: str, label: Label) -> Box:
    length = LETTER * len(name)
    left = label.x if label.anchor == "start" else label.x - length
    return left, label.y - 10, left + length, label.y + 2


def _is_free(box: Box, taken: Sequence[Box]) -> bool:
    left, top, right, foot = box
    inside = left >= LEFT and right <= WIDTH and top >= 0
    return inside and not any(
        left < east and west < right and top < south and north < foot for west, north, east, south in taken
    )
