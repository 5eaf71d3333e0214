"""The pages of a site as plain frozen values, one class a kind of page.

As in reports.page: a missing number is None, strings may be hostile, nothing here is HTML. Only a `Link`'s page is an
address, and only of a form that `drawing` allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reports.page import CandidatePage, Fact
from reports.site.histories import HistoryPage, SuitePage, SuitesPage, TrendsPage
from reports.site.link import Link, Word


@dataclass(frozen=True)
class KeyNumber:
    """One number that a gate looks at."""

    metric: str
    unit: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Outcome:
    """What became of one candidate in one job."""

    candidate: str
    decision: Word
    reason: str
    numbers: tuple[KeyNumber, ...] = ()


@dataclass(frozen=True)
class JobRow:
    """One job of the list."""

    job: Link
    plan: str
    started: str
    state: str = ""
    """"running or interrupted"; empty: it has ended."""
    outcomes: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Standing:
    """Where a candidate of a plan stands: its newest verdict and those before."""

    plan: str
    outcome: Outcome
    job: Link
    started: str
    trend: Link
    past: tuple[Word, ...]
    """Verdicts of the newest jobs, oldest first, this one the last."""


@dataclass(frozen=True)
class IndexPage:
    """Where everything stands, and the newest jobs."""

    store: tuple[Fact, ...]
    """What is in it, counted."""
    standings: tuple[Standing, ...]
    jobs: tuple[JobRow, ...]
    """Newest first."""
    older: tuple[Link, ...] = ()


@dataclass(frozen=True)
class OlderPage:
    """A stretch of jobs further back."""

    title: str
    jobs: tuple[JobRow, ...]


@dataclass(frozen=True)
class FlippedItem:
    """A case or document that passes on one side only, with its answers where they are kept; long ones are cut."""

    metric: str
    item: str
    kind: Literal["loss", "gain"]
    prompt: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class JudgedPart:
    """One candidate on the page of its job."""

    candidate: CandidatePage
    flips: tuple[FlippedItem, ...]
    flips_left_out: int
    trend: Link
    runs: tuple[str, str]
    """Ids of the original's and the candidate's run."""


@dataclass(frozen=True)
class JobPage:
    """One job, drawn from what is stored of it alone."""

    row: JobRow
    command: str
    finished: str
    report: Link
    """The whole report, where it is drawn; else why it is not."""
    parts: tuple[JudgedPart, ...]
    facts: tuple[Fact, ...]
    before: Link
    """The job of the same plan before this one; both with empty texts where there is none."""
    after: Link


@dataclass(frozen=True)
class ComparePage:
    """Any two runs side by side; the script draws them from `data`."""

    data: Mapping[str, Sequence[object]]
    runs: int


@dataclass(frozen=True)
class TurnRow:
    """What came of one due moment."""

    due: str
    state: str
    exit_code: str
    job: Link
    note: str


@dataclass(frozen=True)
class ScheduleRow:
    """One schedule with its last turns, newest first."""

    name: str
    lines: tuple[str, ...]
    turns: tuple[TurnRow, ...] = ()


@dataclass(frozen=True)
class SchedulesPage:
    """When plans run again, and what came of it."""

    schedules: tuple[ScheduleRow, ...]


@dataclass(frozen=True)
class Entry:
    """Something that can be looked for."""

    kind: str
    text: str
    page: str


@dataclass(frozen=True)
class SearchPage:
    """Everything that has a name; the script looks through it."""

    entries: tuple[Entry, ...]
    left_out: int = 0


@dataclass(frozen=True)
class LivePage:
    """What runs now; only `secateur view` can fill it."""


SitePage = (
    IndexPage
    | OlderPage
    | JobPage
    | TrendsPage
    | HistoryPage
    | SuitesPage
    | SuitePage
    | ComparePage
    | SchedulesPage
    | SearchPage
    | LivePage
)
