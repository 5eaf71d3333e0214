"""Regression runs by the clock. A schedule says when a plan is due; a turn is one due moment and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Clock = Callable[[], datetime]
"""Now, with its time zone."""

State = Literal["running", "done", "failed", "skipped"]
"""done: there is a verdict. failed: no verdict after all attempts. skipped: the turn before was still going."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Schedule:
    """A plan and when to run it."""

    name: str
    plan: str
    """Absolute path of the file, or the name of a built-in plan."""
    cron: str
    timezone: str
    jitter_seconds: int
    """Each turn begins up to this much after its due moment, so that machines do not all begin at once."""
    retries: int
    """How often a turn that could not finish is tried again."""
    notify: str | None
    """Absolute path of the file that says whom to tell."""
    handled: datetime
    """Due moments up to this one are taken care of; at first, when the schedule was added."""
    permissions: str = "{}"
    """What the plan's suites may do beyond asking and comparing: keys of a Plan, as JSON."""


@dataclass(frozen=True)
class Turn:
    """One due moment of a schedule and what came of it."""

    schedule: str
    due: datetime
    state: State
    started: datetime
    finished: datetime | None = None
    attempts: int = 0
    exit_code: int | None = None
    job: str = ""
    note: str = ""
    """What a reader of the history should know, for example how many due moments were missed before this one."""


@dataclass(frozen=True)
class Place:
    """Where a process number means something."""

    host: str
    boot: str
    """Changes whenever the machine starts; empty where the system does not say."""
    space: str
    """Name of the process namespace: two containers may share a host's name. Empty outside Linux."""


@dataclass(frozen=True)
class Lease:
    """The right to run turns on one store, of one process at a time."""

    pid: int
    process_started: float
    """Seconds since 1970: a process number comes back, its moment of birth does not."""
    place: Place
    taken: datetime
    renewed: datetime
