"""What can be made again from the facts: numbers of a comparison, flips, checks and grades, as tables for analysts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeltaRow:
    """One metric of a candidate and its original."""

    metric: str
    unit: str
    higher_is_better: bool
    before: float | None
    after: float | None
    drop: float | None
    low: float | None
    high: float | None
    n: int
    losses: int
    gains: int


@dataclass(frozen=True)
class FlipRow:
    """An item that passes on one side only; kind: "loss" or "gain"."""

    metric: str
    item: str
    kind: str


@dataclass(frozen=True)
class CheckRow:
    """One assertion on one answer of a run."""

    run: str
    suite: str
    case_id: str
    position: int
    type: str
    passed: bool
    score: float
    reason: str


@dataclass(frozen=True)
class GradeRow:
    """What all assertions of a case came to on its answers in a run."""

    run: str
    suite: str
    case_id: str
    passed: bool
    score: float
    tries: int
    passes: int


@dataclass(frozen=True)
class Derived:
    """All that is derived from one comparison."""

    deltas: tuple[DeltaRow, ...]
    flips: tuple[FlipRow, ...]
    checks: tuple[CheckRow, ...]
    grades: tuple[GradeRow, ...]
