"""The divergences of single tokens as a histogram of bins that grow by the same factor."""

from __future__ import annotations

from dataclasses import dataclass

from reports.charts.axes import Axis, Tick
from reports.fidelity import DivergenceRow

WIDTH = 720.0
LEFT = 44.0
TOP = 12.0
FOOT = 152.0


@dataclass(frozen=True)
class Bin:
    """One bar."""

    x: float
    width: float
    top: float
    low: float
    high: float | None
    """None: no upper end."""
    count: int


@dataclass(frozen=True)
class Histogram:
    """All bars, and the axis of shares."""

    bins: tuple[Bin, ...]
    shares: tuple[Tick, ...]
    tokens: int

    @property
    def labelled(self) -> tuple[Bin, ...]:
        """The first bin and every fourth after the second, which begin at powers of ten."""
        return (self.bins[0], *self.bins[1::4])


def place(row: DivergenceRow) -> Histogram:
    """Bars of equal width, their height the share of all tokens."""
    tokens = sum(row.counts)
    heights = Axis(0.0, max(row.counts) / tokens, FOOT, TOP) if tokens else Axis(0.0, 1.0, FOOT, TOP)
    step = (WIDTH - LEFT) / len(row.counts)
    bins = tuple(
        Bin(
            x=round(LEFT + at * step + 1, 2),
            width=round(step - 2, 2),
            top=heights.place(count / tokens if tokens else 0.0),
            low=row.edges[at],
            high=row.edges[at + 1] if at + 1 < len(row.edges) else None,
            count=count,
        )
        for at, count in enumerate(row.counts)
    )
    return Histogram(bins, heights.ticks(3), tokens)
