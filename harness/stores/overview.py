"""Everything a site shows of a store, read in few queries and at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import Run
from harness.stores import Job, VerdictRow
from harness.stores.derived import DeltaRow
from harness.stores.file import DuckdbFile
from harness.stores.rows import JOB, RUN, VERDICT, Connection, job_of, run_head

Judged = tuple[str, str]
"""Job and candidate."""
COUNTED = ("jobs", "runs", "answers", "items")
DELTA = "metric, unit, higher_is_better, before, after, drop, low, high, n, losses, gains"

FLIPS = """
SELECT f.job, f.candidate, f.metric, f.item, f.kind, left(old.prompt, $letters), left(old.text, $letters),
  left(new.text, $letters)
FROM (SELECT * FROM flips WHERE job IN (SELECT unnest($jobs))
  QUALIFY row_number() OVER (PARTITION BY job, candidate, metric, kind ORDER BY item) <= $most) f
JOIN verdicts v USING (job, candidate)
LEFT JOIN (SELECT rs.run, s.name || '.pass_rate' AS metric, a.case_id, a.prompt, a.text
  FROM run_stages rs JOIN stages s ON s.id = rs.stage JOIN answers a ON a.stage = s.id
  WHERE s.kind = 'suite' AND rs.run IN (SELECT before_run FROM verdicts WHERE job IN (SELECT unnest($jobs)))) old
  ON old.run = v.before_run AND old.metric = f.metric AND old.case_id = f.item
LEFT JOIN (SELECT rs.run, s.name || '.pass_rate' AS metric, a.case_id, a.text
  FROM run_stages rs JOIN stages s ON s.id = rs.stage JOIN answers a ON a.stage = s.id
  WHERE s.kind = 'suite' AND rs.run IN (SELECT after_run FROM verdicts WHERE job IN (SELECT unnest($jobs)))) new
  ON new.run = v.after_run AND new.metric = f.metric AND new.case_id = f.item
ORDER BY f.job, f.candidate, f.metric, f.kind DESC, f.item
"""
GRADES = """
WITH recent AS (
  SELECT j.plan_name AS plan, v.candidate, v.job, v.before_run, v.after_run,
    row_number() OVER (PARTITION BY j.plan_name, v.candidate ORDER BY j.started DESC, j.id) AS back
  FROM verdicts v JOIN jobs j ON j.id = v.job WHERE v.before_run != '' QUALIFY back <= $columns),
cells AS (
  SELECT r.plan, r.candidate, n.suite, n.case_id, r.back,
    CASE WHEN n.passed THEN CASE WHEN o.passed = false THEN 'g' ELSE 'p' END
      ELSE CASE WHEN o.passed THEN 'l' ELSE 'f' END END AS cell
  FROM recent r JOIN grades n ON n.run = r.after_run
  LEFT JOIN grades o ON o.run = r.before_run AND o.suite = n.suite AND o.case_id = n.case_id),
cases AS (
  SELECT suite, plan, candidate, case_id, count(*) AS jobs, count(*) FILTER (cell IN ('l', 'f')) AS wrong,
    count(DISTINCT cell) AS kinds, string_agg(back || cell, '' ORDER BY back DESC) AS cells
  FROM cells GROUP BY suite, plan, candidate, case_id)
SELECT suite, plan, candidate, case_id, jobs, wrong, cells, count(*) OVER (PARTITION BY suite, plan, candidate)
FROM cases
QUALIFY row_number() OVER (PARTITION BY suite, plan, candidate ORDER BY kinds = 1, wrong DESC, case_id) <= $most
ORDER BY suite, plan, candidate, kinds = 1, wrong DESC, case_id
"""


@dataclass(frozen=True)
class Overview:
    """Jobs and what was concluded in them."""

    jobs: tuple[Job, ...]
    """Oldest first."""
    verdicts: dict[str, tuple[VerdictRow, ...]]
    """By job; in the order of their names."""
    deltas: dict[Judged, tuple[DeltaRow, ...]]
    runs: dict[str, Run]
    """Heads, by id."""


@dataclass(frozen=True)
class FlipText:
    """An item that passes on one side only; texts are None for what is no case of a suite."""

    candidate: str
    metric: str
    item: str
    kind: str
    prompt: str | None
    before: str | None
    after: str | None


@dataclass(frozen=True)
class GradedCase:
    """A case over the newest jobs of a candidate of a plan."""

    suite: str
    plan: str
    candidate: str
    case: str
    jobs: int
    wrong: int
    cells: str
    """For each job its number, counted back from the newest as 1, and a letter as in reports.site.histories.Strip."""
    cases: int
    """Of the suite, in these jobs, listed or not."""


class OverviewTable:
    """Every method is one transaction that only reads."""

    def __init__(self, file: DuckdbFile) -> None:
        self.file = file

    def overview(self) -> Overview:
        return self.file.transaction(_overview)

    def flips(self, jobs: Sequence[str], most: int, letters: int) -> dict[str, list[FlipText]]:
        """Job -> items that flipped, `most` a metric and kind, texts cut to so many letters."""
        values = {"jobs": list(jobs), "most": most, "letters": letters}
        found: dict[str, list[FlipText]] = {}
        for job, *row in self.file.transaction(lambda db: db.execute(FLIPS, values).fetchall()):
            found.setdefault(job, []).append(FlipText(*row))
        return found

    def grades(self, columns: int, most: int) -> list[GradedCase]:
        """Cases over so many of the newest jobs, `most` a suite, plan and candidate: the unsteady first."""
        values = {"columns": columns, "most": most}
        rows = self.file.transaction(lambda db: db.execute(GRADES, values).fetchall())
        return [GradedCase(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How much is stored."""
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in COUNTED)
        return dict(zip(COUNTED, self.file.rows(f"SELECT {counts}")[0], strict=True))


def _overview(db: Connection) -> Overview:
    jobs = tuple(job_of(row) for row in db.execute(f"SELECT {JOB} FROM jobs ORDER BY started, id").fetchall())
    verdicts: dict[str, list[VerdictRow]] = {}
    for row in db.execute(f"SELECT {VERDICT} FROM verdicts ORDER BY job, candidate").fetchall():
        verdicts.setdefault(row[0], []).append(VerdictRow(*row))
    deltas: dict[Judged, list[DeltaRow]] = {}
    for job, candidate, *known in db.execute(f"SELECT job, candidate, {DELTA} FROM deltas ORDER BY ALL").fetchall():
        deltas.setdefault((job, candidate), []).append(DeltaRow(*known))
    heads = [run_head(row) for row in db.execute(f"SELECT {RUN} FROM runs").fetchall()]
    return Overview(
        jobs,
        {job: tuple(rows) for job, rows in verdicts.items()},
        {key: tuple(rows) for key, rows in deltas.items()},
        {run.id: run for run in heads},
    )
