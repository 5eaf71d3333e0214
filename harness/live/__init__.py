"""A run as others see it while it goes on: a small file beside the store, written anew again and again.

The store itself cannot tell: while a process is inside nobody else can look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from harness.schedules import Place

FILE = "progress.json"
"""In the results folder."""


@dataclass(frozen=True)
class Piece:
    """A piece of work that is under way, or over."""

    what: str
    """For example the model that is asked."""
    how: str
    """How it goes, for example "smoke, 61.2 % right"; empty: nothing to say."""
    done: int
    total: int
    seconds: float
    """Since it began, or that it took."""

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None: nothing is done yet."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None


@dataclass(frozen=True)
class Sign:
    """What a run last said of itself."""

    plan: str
    state: Literal["running", "ended", "stopped"]
    """stopped: by an error or by Ctrl-C; `note` says which."""
    pid: int
    process_started: float
    """Seconds since 1970, as in a lease."""
    place: Place
    started: datetime
    renewed: datetime
    """When this was written."""
    memory_bytes: int
    """Of the process, resident."""
    now: Piece | None
    over: tuple[Piece, ...]
    """Oldest first, the newest few."""
    job: str = ""
    exit_code: int | None = None
    note: str = ""
