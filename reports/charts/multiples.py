"""All candidates on each metric of quality: one small panel a metric, all with the same scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.charts.axes import Axis, Tick, around
from reports.page import CandidatePage, MetricRow

WIDTH = 160.0
EDGE = 12.0


@dataclass(frozen=True)
class Dot:
    """One candidate: its drop, and the bounds of it."""

    candidate: str
    row: MetricRow
    point: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Panel:
    """One metric."""

    metric: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Grid:
    """All panels, and the one axis that they share: drops of shares, worse to the right."""

    panels: tuple[Panel, ...]
    zero: float
    ticks: tuple[Tick, ...]


def grid(candidates: Sequence[CandidatePage]) -> Grid:
    """The metrics of quality that are shares, in the order in which they first occur; those alone have one scale."""
    found: dict[str, list[tuple[str, MetricRow, float]]] = {}
    for candidate in candidates:
        for row in candidate.numbers:
            if row.part == "quality" and row.unit == "share" and row.drop is not None:
                found.setdefault(row.metric, []).append((candidate.name, row, row.drop))
    rows = [row for one in found.values() for _, row, _ in one]
    known = [value for row in rows for value in (row.drop, row.low, row.high) if value is not None]
    axis = around([0.0, *known], EDGE, WIDTH - EDGE)
    panels = tuple(Panel(metric, tuple(_dot(*one, axis) for one in rows)) for metric, rows in found.items())
    return Grid(panels, axis.place(0.0), axis.ticks())


def _dot(candidate: str, row: MetricRow, drop: float, axis: Axis) -> Dot:
    low, high = (None if bound is None else axis.place(bound) for bound in (row.low, row.high))
    return Dot(candidate, row, axis.place(drop), low, high)
