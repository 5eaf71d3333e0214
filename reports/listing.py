"""Which cases a page lists, and in which order: what changed is always there, the rest up to a limit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import get_args

from reports.page import CaseRow, Kind

UNCHANGED = ("fail", "pass")
LIMIT = 400
"""Unchanged cases listed in full, so that the file stays small."""


@dataclass(frozen=True)
class Listing:
    """The cases of one candidate as listed, losses first."""

    cases: tuple[CaseRow, ...]
    counts: dict[Kind, int]
    """Of all cases, listed or not, in the order of listing."""
    left_out: int
    """Unchanged cases that are counted but not listed."""
    suites: tuple[str, ...]
    tags: tuple[str, ...]


def listing(cases: tuple[CaseRow, ...], limit: int = LIMIT) -> Listing:
    """Order the cases by kind and keep at most `limit` unchanged ones; failures before passes."""
    order: tuple[Kind, ...] = get_args(Kind)
    ranked = sorted(cases, key=lambda case: order.index(case.kind))
    changed = [case for case in ranked if case.kind not in UNCHANGED]
    unchanged = [case for case in ranked if case.kind in UNCHANGED]
    shown = sorted(changed + unchanged[:limit], key=lambda case: order.index(case.kind))
    counted = Counter(case.kind for case in cases)
    return Listing(
        cases=tuple(shown),
        counts={kind: counted[kind] for kind in order if counted[kind]},
        left_out=max(0, len(unchanged) - limit),
        suites=tuple(sorted({case.suite for case in shown})),
        tags=tuple(sorted({tag for case in shown for tag in case.tags})),
    )
