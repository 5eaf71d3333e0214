"""Facts in one DuckDB file.

While a process holds a DuckDB file for writing nobody else can open it, so this store never keeps it open: each
method opens the file, runs one transaction and closes it, waiting for its turn when another process is inside.
"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from harness.errors import HarnessError
from harness.records import Answer, Measurement, Run
from harness.stores import Asked, Job, Stage, VerdictRow
from harness.stores.migrations import STEPS
from harness.stores.rows import (
    ANSWER,
    JOB,
    RUN,
    STAGE,
    VERDICT,
    Connection,
    Row,
    append,
    finish,
    job_of,
    run_head,
    stage_measurements,
    stage_of,
    values_of,
    whole_run,
)

Result = TypeVar("Result")
DAMAGED = "if the file is damaged, move it away and run again"
STILLBORN_SECONDS = 1.0


class DuckdbStore:
    """The store of one file. `wait_seconds`: how long to wait for another process that is inside."""

    def __init__(self, path: Path, wait_seconds: float = 60.0) -> None:
        self.path = path
        self.wait_seconds = wait_seconds
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HarnessError(
                f"cannot make the folder {path.parent}: {error.strerror}; choose another by --out"
            ) from error
        self._transaction(_migrate)

    def begin_job(self, asked: Asked) -> Job:
        def work(db: Connection) -> Job:
            found = db.execute(
                f"SELECT {JOB} FROM jobs WHERE digest = ? AND fresh = ? AND finished IS NULL"
                " ORDER BY started DESC LIMIT 1",
                [asked.digest, asked.fresh],
            ).fetchone()
            if found:
                return job_of(found)
            job = Job(id=uuid.uuid4().hex[:8], started=_now(), **vars(asked))
            db.execute(f"INSERT INTO jobs ({JOB}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values_of(job))
            return job

        return self._transaction(work)

    def finish_job(self, job: str, exit_code: int) -> None:
        self._execute("UPDATE jobs SET finished = ?, exit_code = ? WHERE id = ?", [_now(), exit_code, job])

    def jobs(self) -> list[Job]:
        return [job_of(row) for row in self._rows(f"SELECT {JOB} FROM jobs ORDER BY started DESC, id")]

    def begin_stage(self, fingerprint: str, key: str, kind: str, name: str, *, not_before: str = "") -> Stage:
        def work(db: Connection) -> Stage:
            found = db.execute(
                f"SELECT {STAGE} FROM stages WHERE fingerprint = ? AND key = ? AND started >= ?"
                " ORDER BY finished IS NOT NULL DESC, started DESC LIMIT 1",
                [fingerprint, key, not_before],
            ).fetchone()
            if found:
                return stage_of(found)
            stage = Stage(uuid.uuid4().hex[:12], fingerprint, key, kind, name, False)
            db.execute(
                "INSERT INTO stages (id, fingerprint, key, kind, name, started, facts) VALUES (?, ?, ?, ?, ?, ?, '{}')",
                [stage.id, fingerprint, key, kind, name, _now()],
            )
            return stage

        return self._transaction(work)

    def finish_stage(
        self, stage: str, measurements: Sequence[Measurement] = (), facts: dict[str, str] | None = None
    ) -> None:
        self._transaction(lambda db: finish(db, stage, measurements, facts or {}, _now()))

    def finish_stages(self, work: Mapping[str, Sequence[Measurement]]) -> None:
        def finish_all(db: Connection) -> None:
            for stage, measurements in work.items():
                finish(db, stage, measurements, {}, _now())

        self._transaction(finish_all)

    def add_answers(self, stage: str, answers: Sequence[Answer]) -> None:
        rows = [
            {"stage": stage, "case_id": a.case, "prompt": a.prompt, "text": a.text, "finish": a.finish,
             "prompt_tokens": a.prompt_tokens, "new_tokens": a.new_tokens, "seconds": a.seconds, "error": a.error}
            for a in answers
        ]  # fmt: skip
        self._transaction(lambda db: append(db, "answers", rows))

    def answers(self, stage: str) -> list[Answer]:
        return [
            Answer(*row)
            for row in self._rows(f"SELECT {ANSWER} FROM answers WHERE stage = ? ORDER BY case_id", [stage])
        ]

    def measurements(self, stage: str) -> list[Measurement]:
        return self._transaction(lambda db: stage_measurements(db, stage))

    def add_scores(self, stage: str, scores: dict[str, tuple[float, bool]]) -> None:
        rows = [
            {"stage": stage, "request": request, "log_likelihood": value, "greedy": greedy}
            for request, (value, greedy) in scores.items()
        ]
        self._transaction(lambda db: append(db, "scores", rows))

    def scores(self, stage: str) -> dict[str, tuple[float, bool]]:
        rows = self._rows("SELECT request, log_likelihood, greedy FROM scores WHERE stage = ?", [stage])
        return {request: (value, greedy) for request, value, greedy in rows}

    def save_run(self, run: Run, job: str, stages: Sequence[str]) -> None:
        model = run.model

        def work(db: Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO runs (id, job, model, source, revision, adapter, dtype, fingerprint, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    run.id,
                    job,
                    model.name,
                    model.source,
                    model.revision,
                    model.adapter,
                    model.dtype,
                    run.fingerprint,
                    _now(),
                ],
            )
            db.execute("DELETE FROM run_stages WHERE run = ?", [run.id])
            append(db, "run_stages", [{"run": run.id, "stage": stage} for stage in dict.fromkeys(stages)])

        self._transaction(work)

    def runs(self, job: str | None = None) -> list[Run]:
        where, values = ("WHERE job = ?", [job]) if job else ("", [])
        return [
            run_head(row) for row in self._rows(f"SELECT {RUN} FROM runs {where} ORDER BY created DESC, model", values)
        ]

    def run(self, run: str) -> Run:
        def work(db: Connection) -> Run:
            head = db.execute(f"SELECT {RUN} FROM runs WHERE id = ?", [run]).fetchone()
            if head is None:
                raise HarnessError(f"no run {run!r} in {self.path}; `secateur ls` lists what is stored")
            stages = db.execute(
                f"SELECT {STAGE} FROM stages JOIN run_stages ON stage = id WHERE run = ? ORDER BY started, id", [run]
            ).fetchall()
            return whole_run(db, run_head(head), [stage_of(row) for row in stages])

        return self._transaction(work)

    def save_receipt(self, run: str, receipt: str) -> None:
        self._execute("INSERT OR REPLACE INTO receipts VALUES (?, ?)", [run, receipt])

    def receipt(self, run: str) -> str | None:
        rows = self._rows("SELECT receipt FROM receipts WHERE run = ?", [run])
        return str(rows[0][0]) if rows else None

    def receipts(self) -> list[str]:
        return [str(row[0]) for row in self._rows("SELECT DISTINCT receipt FROM receipts ORDER BY receipt")]

    def save_verdict(self, verdict: VerdictRow) -> None:
        values = [*values_of(verdict)[:-1], verdict.created or _now()]
        self._execute(f"INSERT OR REPLACE INTO verdicts ({VERDICT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def verdicts(self, job: str | None = None) -> list[VerdictRow]:
        where, values = ("WHERE job = ?", [job]) if job else ("", [])
        return [
            VerdictRow(*row)
            for row in self._rows(f"SELECT {VERDICT} FROM verdicts {where} ORDER BY created DESC, candidate", values)
        ]

    def _execute(self, sql: str, values: list[Any]) -> None:
        self._transaction(lambda db: db.execute(sql, values) and None)

    def _rows(self, sql: str, values: list[Any] | None = None) -> list[Row]:
        return self._transaction(lambda db: db.execute(sql, values or []).fetchall())

    def _transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Open, run `work` in one transaction, close."""
        db = _open(self.path, self.wait_seconds)
        try:
            db.begin()
            result = work(db)
            db.commit()
            return result
        except duckdb.Error as error:
            raise HarnessError(f"cannot use the store {self.path}: {_first_line(error)}; {DAMAGED}") from error
        finally:
            db.close()


def _open(path: Path, wait_seconds: float) -> Connection:
    """Connect, waiting with jitter while another process is inside."""
    deadline = time.monotonic() + wait_seconds
    _forget_stillborn(path)
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.Error as error:
            if "lock" not in str(error).lower():
                raise HarnessError(f"cannot open the store {path}: {_first_line(error)}; {DAMAGED}") from error
            if time.monotonic() > deadline:
                holder = re.search(r"PID (\d+)", str(error))
                who = f"process {holder[1]}" if holder else "another process"
                raise HarnessError(f"the store {path} is in use by {who}; waited {wait_seconds:.0f} s") from error
            time.sleep(random.uniform(0.02, 0.1))


def _forget_stillborn(path: Path) -> None:
    """Remove an empty file, left when a process was killed while it made the store."""
    if path.is_file() and path.stat().st_size == 0 and time.time() - path.stat().st_mtime > STILLBORN_SECONDS:
        path.unlink(missing_ok=True)


def _migrate(db: Connection) -> None:
    """Apply the steps that this file has not seen."""
    db.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    row = db.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    version = row[0] if row else 0
    if version > len(STEPS):
        raise HarnessError(f"the store was written by a newer secateur (schema {version}, this one knows {len(STEPS)})")
    for number, step in enumerate(STEPS[version:], start=version + 1):
        db.execute(step)
        db.execute("INSERT INTO schema_version VALUES (?)", [number])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].removeprefix("IO Error: ")
