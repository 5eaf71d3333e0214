"""Where the steps of a search stand: sparsity to the right, divergence upwards. Numbers in, coordinates out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.page import Decision
from reports.search.page import SearchPage, TrialLine, VariantLine

WIDTH, LEFT, RIGHT = 720.0, 56.0, 640.0
"""Right of RIGHT stand the names of the variants."""
TOP, FOOT = 16.0, 256.0
NAME_HEIGHT = 14.0
NAMES = 14
"""Lines that have their name beside them, the most promising ones: more would not fit on each other."""
TICKS = 4
DASHES = ("none", "7 4", "2 3", "9 3 2 3")
"""Of the lines of variants; with more variants they begin again, and the names still tell them apart."""


@dataclass(frozen=True)
class Dot:
    """One step; `top` and `bottom` are the ends of its interval."""

    x: float
    y: float
    top: float
    bottom: float
    decision: Decision | None
    held_out: bool
    title: str
    """The same in words."""


@dataclass(frozen=True)
class Line:
    """What a variant does to text, as far as it was screened."""

    name: str
    points: str
    dash: str
    y: float
    """Where it ends, and where its name stands, right of RIGHT."""
    band: tuple[float, float, float] | None
    """Where its gates were expected to break: both ends and the middle."""
    named: bool = True
    """Whether its name stands beside it; all have it when pointed at."""


@dataclass(frozen=True)
class Tick:
    """A place on an axis and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """All of it."""

    lines: tuple[Line, ...]
    dots: tuple[Dot, ...]
    across: tuple[Tick, ...]
    upwards: tuple[Tick, ...]


def chart(page: SearchPage) -> Chart | None:
    """None where nothing was measured."""
    measured = [trial for trial in page.trials if trial.divergence is not None]
    if not measured:
        return None
    widest = max(trial.sparsity for trial in measured)
    highest = max(max(trial.divergence or 0.0, trial.high or 0.0) for trial in measured)
    scale = _Scale(widest, highest or 1.0)
    lines = [_line(variant, number, measured, scale) for number, variant in enumerate(page.variants)]
    return Chart(
        lines=_parted([line for line in lines if line is not None]),
        dots=tuple(_dot(trial, scale) for trial in measured),
        across=tuple(Tick(scale.x(widest * n / TICKS), f"{widest * n / TICKS:.3g}") for n in range(TICKS + 1)),
        upwards=tuple(Tick(scale.y(highest * n / TICKS), f"{highest * n / TICKS:.2g}") for n in range(TICKS + 1)),
    )


@dataclass(frozen=True)
class _Scale:
    """Both axes begin at zero, where the original is."""

    widest: float
    highest: float

    def x(self, sparsity: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * min(sparsity / self.widest, 1.0), 2)

    def y(self, divergence: float) -> float:
        return round(FOOT - (FOOT - TOP) * min(divergence / self.highest, 1.0), 2)


def _dot(trial: TrialLine, scale: _Scale) -> Dot:
    value = trial.divergence or 0.0
    ends = [scale.y(value if end is None else end) for end in (trial.high, trial.low)]
    title = f"{trial.variant} {trial.sparsity:g}, {trial.step}: {value:.3g} nats a token"
    if trial.decision:
        title += f", {trial.decision}: {trial.reason}"
    return Dot(
        scale.x(trial.sparsity), scale.y(value), ends[0], ends[1], trial.decision, trial.step == "held out", title
    )


def _line(variant: VariantLine, number: int, measured: list[TrialLine], scale: _Scale) -> Line | None:
    own = sorted(
        (trial for trial in measured if trial.variant == variant.name and trial.decision is None),
        key=lambda trial: trial.sparsity,
    )
    if not own:
        return None
    corners = [(scale.x(0.0), scale.y(0.0))]
    corners += [(scale.x(trial.sparsity), scale.y(trial.divergence or 0.0)) for trial in own]
    band = None
    if variant.expected is not None and variant.low is not None and variant.high is not None:
        band = (scale.x(variant.low), scale.x(variant.high), scale.x(variant.expected))
    points = " ".join(f"{x},{y}" for x, y in corners)
    return Line(variant.name, points, DASHES[number % len(DASHES)], corners[-1][1], band)


def _parted(lines: Sequence[Line]) -> tuple[Line, ...]:
    """From the lowest up, names that would lie on each other moved apart, and back down where they would leave it."""
    placed: list[Line] = []
    for line in sorted(lines[:NAMES], key=lambda line: -line.y):
        highest = placed[-1].y - NAME_HEIGHT if placed else line.y
        placed.append(replace(line, y=min(line.y, highest)))
    least = TOP - NAME_HEIGHT
    for number in reversed(range(len(placed))):
        placed[number] = replace(placed[number], y=max(placed[number].y, least))
        least = placed[number].y + NAME_HEIGHT
    return (*placed, *(replace(line, named=False) for line in lines[NAMES:]))
