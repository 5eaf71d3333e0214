"""The pages of a site that look back, over the jobs of a plan, as plain frozen values: metrics and suites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports.page import TrendRow
from reports.site.link import Link, Word


@dataclass(frozen=True)
class TrendGroup:
    """All histories of a candidate of a plan."""

    plan: str
    candidate: str
    link: Link
    trends: tuple[TrendRow, ...]


@dataclass(frozen=True)
class TrendsPage:
    """Every history in a line."""

    groups: tuple[TrendGroup, ...]


Mark = Literal["change", "outlier", "drift", "baseline"]


@dataclass(frozen=True)
class HistoryPoint:
    """One job in the history of a metric."""

    started: str
    job: Link
    value: float
    decision: Word
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class HistoryPart:
    """The history of one metric, oldest first; never empty."""

    metric: str
    unit: str
    points: tuple[HistoryPoint, ...]
    levels: tuple[tuple[int, float], ...]
    """Index at which a level begins, and how high it is; empty: no change was seen."""
    baseline: float | None
    name: str
    """Of the baseline; empty: none."""
    said: tuple[str, ...]
    """What is unusual, in sentences, oldest first."""
    better: Literal["higher", "lower"]


@dataclass(frozen=True)
class HistoryPage:
    """All histories of one candidate of one plan, drawn large."""

    plan: str
    candidate: str
    parts: tuple[HistoryPart, ...]


@dataclass(frozen=True)
class Strip:
    """One case over the jobs: a letter a job, oldest first.

    p: both right. l: a loss. g: a gain. f: both wrong. -: not asked, or not kept.
    """

    case: str
    cells: str


@dataclass(frozen=True)
class StripTable:
    """Cases of a suite over the jobs of one candidate of one plan."""

    plan: str
    candidate: str
    jobs: tuple[Link, ...]
    """One a column, oldest first; their texts are dates."""
    strips: tuple[Strip, ...]
    """Those that were not always right first."""
    left_out: int
    """Cases that were always right and are not listed."""


@dataclass(frozen=True)
class SuitePage:
    """A suite and the history of its cases."""

    suite: str
    tables: tuple[StripTable, ...]


@dataclass(frozen=True)
class SuiteRow:
    """One suite of the list."""

    suite: Link
    cases: int
    jobs: int
    unsteady: int
    """Cases that are not right in every one of these jobs."""


@dataclass(frozen=True)
class SuitesPage:
    """Every suite that was asked."""

    rows: tuple[SuiteRow, ...]
    note: str = ""
