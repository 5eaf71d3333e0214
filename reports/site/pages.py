"""The pages of a site as plain frozen values, one class a kind of page.

As in reports.page: a missing number is None, strings may be hostile, nothing here is HTML. Only a `Link`'s page is an
address, and only of a form that `drawing` allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reports.page import CandidatePage, Fact, TrendRow

Word = Literal["PASS", "REGRESSION", "INCONCLUSIVE", "ERROR"]
"""A verdict, or ERROR: the candidate could not be judged."""


@dataclass(frozen=True)
class Link:
    """Words that lead to a page of the site; with an empty page they are words."""

    text: str
    page: str = ""
    """Name of the file from the top of the site, such as "jobs/02deccc6.html"."""


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
