"""An axis: where a value stands on it, and the round numbers to write beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Tick:
    """A round value and where it stands."""

    at: float
    value: float


@dataclass(frozen=True)
class Axis:
    """From `low` at `start` to `high` at `end`, in user units; `start` may be the larger."""

    low: float
    high: float
    start: float
    end: float
    scale: Literal["linear", "log"] = "linear"

    def place(self, value: float) -> float:
        """Where a value stands; one beyond the axis stands at its end."""
        low, high, at = (self._measure(each) for each in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + min(1.0, max(0.0, share)) * (self.end - self.start), 2)

    def ticks(self, most: int = 5) -> tuple[Tick, ...]:
        """Round values on the axis, at most about `most`; of a log scale powers of ten."""
        values = self._powers(most) if self.scale == "log" else self._steps(most)
        return tuple(Tick(self.place(value), value) for value in values)

    def _measure(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.scale == "log" else value

    def _steps(self, most: int) -> list[float]:
        step = _round_step((self.high - self.low) / most) if self.high > self.low else 1.0
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]

    def _powers(self, most: int) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        every = max(1, math.ceil((last - first + 1) / most))
        return [10.0**power for power in range(first, last + 1, every)]


def around(values: Iterable[float], start: float, end: float, room: float = 0.06) -> Axis:
    """A linear axis on which all finite values fit, with some room at both ends; without values from 0 to 1."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    spare = room * (high - low) or room * abs(high) or 1.0
    return Axis(low - spare, high + spare, start, end)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
