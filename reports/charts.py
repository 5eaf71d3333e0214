"""Where things stand in the charts: numbers in, coordinates out. The templates draw them as inline SVG.

Coordinates are in SVG user units, x to the right and y downwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from reports.figures import is_missing
from reports.page import GateRow, LayerRow, TagRow, TrendRow

FOREST_WIDTH = 300.0
FOREST_LIMIT = 180.0
"""Every gate's limit stands here, so that one line runs down the whole column."""
DUMBBELL_WIDTH = 300.0
EDGE = 10.0

SPARK_WIDTH = 240.0
SPARK_HEIGHT = 44.0

PATTERN_WIDTH = 720.0
PATTERN_LEFT = 44.0
PATTERN_TOP = 12.0
PATTERN_FOOT = 172.0


@dataclass(frozen=True)
class Forest:
    """One gate: interval, point, limit and no change on a scale of its own, worse to the right.

    None: not measured or, for `unchanged`, not defined. `open_low` and `open_high`: no bound on that side.
    """

    point: float | None
    low: float | None
    high: float | None
    unchanged: float | None
    open_low: bool
    open_high: bool


@dataclass(frozen=True)
class Dumbbell:
    """One tag's pass rate before and after, on an axis from 0 to 100 %."""

    before: float
    after: float
    change: Literal["better", "worse", "same"]
    """Of the bare numbers; no test."""


@dataclass(frozen=True)
class Sparkline:
    """A history: the line's corners as SVG has them, where it ends, and the height of the baseline."""

    points: str
    x: float
    y: float
    baseline: float | None


@dataclass(frozen=True)
class Bar:
    """One layer: a bar of the FFN width kept and a dot at the kv groups kept."""

    index: int
    x: float
    centre: float
    width: float
    top: float
    dot: float
    labelled: bool


@dataclass(frozen=True)
class Tick:
    """A line across the chart and its label."""

    y: float
    label: str


@dataclass(frozen=True)
class Pattern:
    """What is left, layer by layer."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    radius: float


def forest(gate: GateRow) -> Forest:
    """Place one gate so that its limit stands at FOREST_LIMIT and everything else fits, to a linear scale."""
    sign = 1.0 if gate.worse == "higher" else -1.0
    ends = (gate.low, gate.high) if sign > 0 else (gate.high, gate.low)
    offsets = [_offset(value, gate.limit, sign) for value in (*ends, gate.estimate, gate.unchanged)]
    scale = _scale([offset for offset in offsets if offset is not None and math.isfinite(offset)])
    low, high, point, unchanged = (_place(offset, scale) for offset in offsets)
    return Forest(
        point=point,
        low=low,
        high=high,
        unchanged=unchanged,
        open_low=offsets[0] == -math.inf,
        open_high=offsets[1] == math.inf,
    )


def dumbbell(tag: TagRow) -> Dumbbell:
    """Place one tag's pass rates."""
    room = DUMBBELL_WIDTH - 2 * EDGE
    change: Literal["better", "worse", "same"]
    change = "same" if tag.after == tag.before else "better" if tag.after > tag.before else "worse"
    return Dumbbell(before=round(EDGE + room * tag.before, 2), after=round(EDGE + room * tag.after, 2), change=change)


def sparkline(row: TrendRow) -> Sparkline:
    """Place one history between its lowest and highest value, the baseline among them; a flat one in the middle."""
    levels = [*row.values, *([] if row.baseline is None else [row.baseline])]
    low, high = min(levels), max(levels)

    def height(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(SPARK_HEIGHT - 4 - share * (SPARK_HEIGHT - 8), 2)

    step = (SPARK_WIDTH - 8) / max(1, len(row.values) - 1)
    corners = [(round(4 + step * number, 2), height(value)) for number, value in enumerate(row.values)]
    x, y = corners[-1]
    baseline = None if row.baseline is None else height(row.baseline)
    return Sparkline(" ".join(f"{a},{b}" for a, b in corners), x, y, baseline)


def pattern(layers: tuple[LayerRow, ...]) -> Pattern:
    """Place one bar a layer; the axis is the share kept, 0 to 100 %."""
    step = (PATTERN_WIDTH - PATTERN_LEFT) / max(1, len(layers))
    every = max(1, math.ceil(len(layers) / 16))
    bars = tuple(_bar(layer, at, step, at % every == 0) for at, layer in enumerate(layers))
    ticks = tuple(Tick(_height(share), f"{share:.0%}") for share in (1.0, 0.5, 0.0))
    return Pattern(bars=bars, ticks=ticks, radius=min(4.0, step / 4))


def _offset(value: float | None, limit: float, sign: float) -> float | None:
    """How far beyond the limit, positive is worse; None if not measured."""
    return None if value is None or is_missing(value) else sign * (value - limit)


def _scale(offsets: list[float]) -> float:
    """User units for one unit of the gate, the largest with which all offsets fit."""
    left, right = FOREST_LIMIT - EDGE, FOREST_WIDTH - EDGE - FOREST_LIMIT
    fits = [(left / -offset if offset < 0 else right / offset) for offset in offsets if offset != 0]
    return min(fits, default=0.0)


def _place(offset: float | None, scale: float) -> float | None:
    if offset is None:
        return None
    if math.isinf(offset):
        return EDGE if offset < 0 else FOREST_WIDTH - EDGE
    return round(FOREST_LIMIT + scale * offset, 2)


def _bar(layer: LayerRow, at: int, step: float, labelled: bool) -> Bar:
    kept = _share(layer.width, layer.width_before) if layer.mlp else 0.0
    groups = _share(layer.kv_groups, layer.kv_groups_before) if layer.attention else 0.0
    x = PATTERN_LEFT + at * step
    return Bar(
        index=layer.index,
        x=round(x + step * 0.1, 2),
        centre=round(x + step / 2, 2),
        width=round(step * 0.8, 2),
        top=_height(kept),
        dot=_height(groups),
        labelled=labelled,
    )


def _height(share: float) -> float:
    return round(PATTERN_FOOT - (PATTERN_FOOT - PATTERN_TOP) * share, 2)


def _share(kept: int, before: int) -> float:
    return kept / before if before else 0.0
