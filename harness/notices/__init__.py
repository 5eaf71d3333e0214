"""Tell people what a turn came to. Nothing here ever changes a result: what cannot be sent is said, and that is all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Occasion = Literal["PASS", "REGRESSION", "INCONCLUSIVE", "ERROR", "DRIFT", "RECOVERED"]
"""ERROR: no verdict. DRIFT: a metric has begun to be worse than its baseline. RECOVERED: PASS after another result."""


@dataclass(frozen=True)
class Notice:
    """One message, the same for every channel."""

    schedule: str
    plan: str
    occasions: tuple[Occasion, ...]
    """The result first."""
    due: str
    """The due moment in the schedule's time zone."""
    lines: tuple[str, ...]
    """Why, in sentences."""
    job: str
    report: str
    """Path of the page; empty if there is none."""

    @property
    def title(self) -> str:
        return f"secateur {self.schedule}: {', '.join(self.occasions)}"

    @property
    def text(self) -> str:
        """Title, reasons and where to look."""
        where = [f"due {self.due}", f"job {self.job}" if self.job else "", self.report]
        return "\n".join([self.title, *self.lines, "; ".join(filter(None, where))])
