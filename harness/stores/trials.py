"""The steps of searches, beside the facts in one DuckDB file."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Literal

from harness.stores.file import DuckdbFile, now

Kind = Literal["screen", "gates", "verdict", "variant", "latency", "aim"]
"""screen: how far a cut leads away from the original. gates: judged on the searched half. verdict: on the other.
variant: what became of a method as a whole; its sparsity is the largest that passed among the searched cases, or 0.
latency: how long a few layers take; variant and sparsity say of what they keep how many. aim: what a candidate was
expected to reach of a target.
"""


@dataclass(frozen=True)
class TrialRow:
    """One step of a search; the columns of the table `trials`, in their order."""

    job: str
    kind: Kind
    variant: str
    sparsity: float
    parameters: int
    measured: float | None = None
    """What the search minimises, where that is measured and not counted; of `latency` seconds a token, of `aim` what is
    expected, on the scale of the target."""
    divergence: float | None = None
    """From the original, nats a token."""
    divergence_low: float | None = None
    divergence_high: float | None = None
    predicted: float | None = None
    """At which sparsity the gates were expected to break when this trial was chosen."""
    predicted_low: float | None = None
    predicted_high: float | None = None
    decision: str = ""
    reason: str = ""
    findings: str = "[]"
    verdict_job: str = ""
    seconds: float = 0.0
    created: str = ""


@dataclass(frozen=True)
class Forecast:
    """Where a search expected the gates to break before its first trial, and where they did."""

    plan: str
    variant: str
    started: datetime
    job: str
    predicted: float
    low: float
    high: float
    passing: float | None
    """Largest sparsity whose gates all passed."""
    failing: float | None
    """Smallest that did not pass."""
    trials: int


COLUMNS = ", ".join(field.name for field in fields(TrialRow))


class TrialTable:
    """Every method is one transaction."""

    def __init__(self, file: DuckdbFile) -> None:
        self.file = file

    def save(self, row: TrialRow) -> None:
        """A step that has ended; saving again replaces."""
        places = ", ".join("?" for _ in fields(TrialRow))
        values = list(astuple(replace(row, created=now())))
        self.file.execute(f"INSERT OR REPLACE INTO trials ({COLUMNS}) VALUES ({places})", values)

    def rows(self, job: str) -> list[TrialRow]:
        """Of one search, in the order in which they ended."""
        found = self.file.rows(f"SELECT {COLUMNS} FROM trials WHERE job = ? ORDER BY created", [job])
        return [TrialRow(*row) for row in found]

    def forecasts(self) -> list[Forecast]:
        """Of all searches, newest first."""
        found = self.file.rows(
            "SELECT plan, variant, started, job, predicted, predicted_low, predicted_high, largest_passing,"
            " smallest_failing, trials FROM v_predictions ORDER BY started DESC, variant"
        )
        return [Forecast(plan, name, at.replace(tzinfo=UTC), *rest) for plan, name, at, *rest in found]
