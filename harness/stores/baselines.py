"""Baselines and the history of metrics, beside the facts in one DuckDB file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from harness.stores.file import DuckdbFile


@dataclass(frozen=True)
class Baseline:
    """A candidate's result in one job, named as the one to beat."""

    name: str
    job: str
    candidate: str
    blessed: datetime
    note: str = ""


@dataclass(frozen=True)
class PointRow:
    """One metric of a candidate in one job."""

    metric: str
    plan: str
    candidate: str
    started: datetime
    job: str
    fingerprint: str
    before: float | None
    after: float | None
    n: int
    unit: str
    higher_is_better: bool
    decision: str


class BaselineTable:
    """Every method is one transaction."""

    def __init__(self, file: DuckdbFile) -> None:
        self.file = file

    def bless(self, baseline: Baseline) -> None:
        values = [baseline.name, baseline.job, baseline.candidate, baseline.blessed.isoformat(), baseline.note]
        self.file.execute("INSERT INTO baselines (name, job, candidate, blessed, note) VALUES (?, ?, ?, ?, ?)", values)

    def baselines(self) -> list[Baseline]:
        """All that were ever blessed, newest first."""
        rows = self.file.rows("SELECT name, job, candidate, blessed, note FROM baselines ORDER BY blessed DESC")
        return [
            Baseline(name, job, candidate, datetime.fromisoformat(blessed), note)
            for name, job, candidate, blessed, note in rows
        ]

    def metrics(self) -> list[str]:
        """Names of all metrics with a history."""
        return [row[0] for row in self.file.rows("SELECT DISTINCT metric FROM deltas ORDER BY metric")]

    def points(self, metric: str | None) -> list[PointRow]:
        """The history of a metric, or of all, oldest first; candidates that could not be judged have none."""
        rows = self.file.rows(
            "SELECT metric, plan, candidate, started, job, coalesce(fingerprint, ''), before, after, n, unit,"
            " higher_is_better, decision FROM v_trend WHERE ? IS NULL OR metric = ?"
            " ORDER BY metric, plan, candidate, started",
            [metric, metric],
        )
        return [
            PointRow(name, plan, candidate, started.replace(tzinfo=UTC), *rest)
            for name, plan, candidate, started, *rest in rows
        ]

    def margins(self, metric: str | None) -> dict[tuple[str, str, str], float]:
        """(metric, plan, candidate) -> margin of the newest gate on all items of the metric; of one metric, or all."""
        rows = self.file.rows(
            "SELECT metric, plan, candidate, margin FROM v_findings WHERE (? IS NULL OR metric = ?) AND tag IS NULL"
            " AND margin IS NOT NULL ORDER BY started",
            [metric, metric],
        )
        return {(name, plan, candidate): margin for name, plan, candidate, margin in rows}
