"""The cases of one candidate in the order of a page's list, with what the page counts, sorts and filters them by."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from rapidfuzz.distance import Levenshtein

from reports.cases import CaseRow, Kind

CHANGED = ("loss", "gain", "churn")
FIRST = 20
"""Cases that are shown without JavaScript."""
COMPARED = 20_000
"""Characters of an answer that its edit distance looks at, since its time grows with their square."""


@dataclass(frozen=True)
class Listed:
    """One case and how much it changed."""

    case: CaseRow
    place: int
    """Its place among all cases as they were given."""
    score: float
    """How far its score moved, up or down, 0 to 1."""
    distance: int
    """Characters to insert, delete or replace between the two answers (Levenshtein)."""


@dataclass(frozen=True)
class Listing:
    """The cases of one candidate: losses first, then the other kinds; in each the largest change first."""

    rows: tuple[Listed, ...]

    @cached_property
    def counts(self) -> dict[Kind, int]:
        """How many of each kind that occurs, in the order of listing."""
        counted = Counter(row.case.kind for row in self.rows)
        return {kind: counted[kind] for kind in get_args(Kind) if counted[kind]}

    @cached_property
    def suites(self) -> tuple[str, ...]:
        """Names of all suites."""
        return tuple(sorted({row.case.suite for row in self.rows}))

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """All tags."""
        return tuple(sorted({tag for row in self.rows for tag in row.case.tags}))

    @property
    def first(self) -> tuple[CaseRow, ...]:
        """The first cases that changed."""
        return tuple(row.case for row in self.rows[:FIRST] if row.case.kind in CHANGED)

    @property
    def has_flaky(self) -> bool:
        """Whether any case passes at times."""
        return any(row.case.flaky for row in self.rows)

    @property
    def has_tokens(self) -> bool:
        """Whether the divergence of any answer's tokens is known."""
        return any(row.case.before.tokens or row.case.after.tokens for row in self.rows)


def listing(cases: tuple[CaseRow, ...]) -> Listing:
    """Measure every case's change and bring them into order."""
    order: tuple[Kind, ...] = get_args(Kind)
    rows = [_listed(case, place) for place, case in enumerate(cases)]
    rows.sort(key=lambda row: (order.index(row.case.kind), -row.score, -row.distance, row.place))
    return Listing(tuple(rows))


def _listed(case: CaseRow, place: int) -> Listed:
    texts = [(answer.text or "")[:COMPARED] for answer in (case.before, case.after)]
    return Listed(case, place, _moved(case), Levenshtein.distance(*texts))


def _moved(case: CaseRow) -> float:
    """By the scores, or where there is none, by pass and fail."""
    before, after = case.before.score, case.after.score
    if before is None or after is None or math.isnan(after - before):
        return float(case.kind in ("loss", "gain"))
    return round(abs(after - before), 4)
