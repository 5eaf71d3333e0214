"""What is left of every layer, as bars, and how its scores lie, as a heat map of the same width."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.charts.axes import Axis, Tick
from reports.compression import LayerRow

WIDTH = 720.0
LEFT = 44.0
TOP = 12.0
FOOT = 172.0

SHARES = Axis(0.0, 1.0, FOOT, TOP)
"""The vertical axis of both: the share of a layer, from the foot up."""


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
class Pattern:
    """What is left, layer by layer."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    radius: float
    """Of a dot."""


@dataclass(frozen=True)
class Cell:
    """The channels of one layer between two quantiles of its scores."""

    y: float
    height: float
    shade: float
    """0 to 1: the share of all cells of all layers whose scores are not higher."""
    low: float
    high: float


@dataclass(frozen=True)
class Column:
    """One layer of the heat map."""

    bar: Bar
    cells: tuple[Cell, ...]
    cut: float
    """Height of the share of the channels that was removed: the least important lie below it."""


def pattern(layers: tuple[LayerRow, ...]) -> Pattern:
    """Place one bar a layer; the axis is the share kept, 0 to 100 %."""
    step = (WIDTH - LEFT) / max(1, len(layers))
    every = max(1, math.ceil(len(layers) / 16))
    bars = tuple(_bar(layer, at, step, at % every == 0) for at, layer in enumerate(layers))
    return Pattern(bars, SHARES.ticks(2), min(4.0, step / 4))


def heat(layers: tuple[LayerRow, ...]) -> tuple[Column, ...]:
    """Place the scores of every layer, least important at the foot; none of a layer with fewer than two.

    Shades are ranks: scores of some methods span so many powers of ten that any scale shows the largest alone.
    """
    pairs = [pair for layer in layers for pair in itertools.pairwise(layer.scores)]
    ranked = sorted(low + high for low, high in pairs)
    return tuple(
        Column(bar, tuple(_cells(layer.scores, ranked)), SHARES.place(1 - _share(layer.width, layer.width_before)))
        for bar, layer in zip(pattern(layers).bars, layers, strict=True)
        if len(layer.scores) > 1
    )


def _cells(scores: tuple[float, ...], ranked: Sequence[float]) -> list[Cell]:
    height = (FOOT - TOP) / (len(scores) - 1)
    return [
        Cell(
            y=round(FOOT - height * (at + 1), 2),
            height=round(height, 2),
            shade=round(bisect.bisect_right(ranked, low + high) / len(ranked), 2),
            low=low,
            high=high,
        )
        for at, (low, high) in enumerate(itertools.pairwise(scores))
    ]


def _bar(layer: LayerRow, at: int, step: float, labelled: bool) -> Bar:
    kept = _share(layer.width, layer.width_before) if layer.mlp else 0.0
    groups = _share(layer.kv_groups, layer.kv_groups_before) if layer.attention else 0.0
    x = LEFT + at * step
    return Bar(
        index=layer.index,
        x=round(x + step * 0.1, 2),
        centre=round(x + step / 2, 2),
        width=round(step * 0.8, 2),
        top=SHARES.place(kept),
        dot=SHARES.place(groups),
        labelled=labelled,
    )


def _share(kept: int, before: int) -> float:
    return kept / before if before else 0.0
