"""Gates as forest plots: all gates of one scale stand on one axis, worse to the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.charts.axes import Axis, Tick, around
from reports.figures import is_missing
from reports.page import GateRow

WIDTH = 320.0
EDGE = 12.0
HEIGHT = 44.0
MIDDLE = HEIGHT / 2


@dataclass(frozen=True)
class Mark:
    """One gate on the axis of its panel; None: not measured, or not defined for this gate.

    `open_low` and `open_high`: no bound on that side, so the interval reaches the end of the axis.
    """

    gate: GateRow
    limit: float
    point: float | None
    low: float | None
    """The better bound: the left one."""
    high: float | None
    open_low: bool
    open_high: bool
    unchanged: float | None
    noise: tuple[float, float] | None
    """From where to where asking the original twice moves what is unchanged."""
    detectable: float | None
    """Where the smallest drop stands that these items would have shown."""


@dataclass(frozen=True)
class Panel:
    """Gates that share one axis."""

    scale: str
    unit: str
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]


def panels(gates: Sequence[GateRow]) -> tuple[Panel, ...]:
    """One panel for the gates of each scale, unit and direction, in the order in which they first occur."""
    groups: dict[tuple[str, str, str], list[GateRow]] = {}
    for gate in gates:
        groups.setdefault((gate.scale, unit_of(gate), gate.worse), []).append(gate)
    return tuple(_panel(scale, unit, found) for (scale, unit, _), found in groups.items())


def unit_of(gate: GateRow) -> str:
    """Of what the axis shows: a ratio has no unit of its metric."""
    return "ratio" if gate.scale == "ratio" else gate.unit


def _panel(scale: str, unit: str, gates: Sequence[GateRow]) -> Panel:
    known = [value for gate in gates for value in _values(gate) if value is not None and not is_missing(value)]
    axis = around(known, EDGE, WIDTH - EDGE)
    if gates[0].worse == "lower":
        axis = Axis(axis.low, axis.high, axis.end, axis.start)
    return Panel(scale, unit, axis.ticks(), tuple(_mark(gate, axis) for gate in gates))


def _values(gate: GateRow) -> list[float | None]:
    """All that has to fit on the axis."""
    noise = [] if gate.noise is None else [-gate.noise, gate.noise]
    return [gate.limit, gate.estimate, gate.low, gate.high, gate.unchanged, gate.detectable, *noise]


def _mark(gate: GateRow, axis: Axis) -> Mark:
    better, worse = (gate.low, gate.high) if gate.worse == "higher" else (gate.high, gate.low)
    return Mark(
        gate=gate,
        limit=axis.place(gate.limit),
        point=_placed(gate.estimate, axis),
        low=_placed(better, axis),
        high=_placed(worse, axis),
        open_low=better is not None and math.isinf(better),
        open_high=worse is not None and math.isinf(worse),
        unchanged=_placed(gate.unchanged, axis),
        noise=(axis.place(-gate.noise), axis.place(gate.noise)) if gate.noise else None,
        detectable=_placed(gate.detectable, axis),
    )


def _placed(value: float | None, axis: Axis) -> float | None:
    return None if value is None or is_missing(value) else axis.place(value)
