"""Facts in one DuckDB file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.records import Answer, AnswerDivergence, Divergence, Measurement, Run
from harness.stores import Asked, Job, Letter, Stage, VerdictRow
from harness.stores.derived import Derived
from harness.stores.file import DuckdbFile, now
from harness.stores.frames import framed
from harness.stores.outbox import Outbox, enqueue
from harness.stores.rows import (
    ANSWER,
    JOB,
    RUN,
    STAGE,
    VERDICT,
    Connection,
    advice_in,
    answer_of,
    append,
    finish,
    job_of,
    keep_divergence,
    replace_derived,
    run_head,
    spoken_in,
    stage_measurements,
    stage_of,
    values_of,
    whole_run,
)
from suites.advice import Advice, Question

if TYPE_CHECKING:
    from pandas import DataFrame


class DuckdbStore:
    """The store of one file. `wait_seconds`: how long to wait for another process that is inside."""

    def __init__(self, path: Path, wait_seconds: float = 60.0) -> None:
        self.file = DuckdbFile(path, wait_seconds)

    def begin_job(self, asked: Asked) -> Job:
        def work(db: Connection) -> Job:
            found = db.execute(
                f"SELECT {JOB} FROM jobs WHERE digest = ? AND fresh = ? AND finished IS NULL"
                " ORDER BY started DESC LIMIT 1",
                [asked.digest, asked.fresh],
            ).fetchone()
            if found:
                return job_of(found)
            job = Job(id=uuid.uuid4().hex[:8], started=now(), **vars(asked))
            db.execute(f"INSERT INTO jobs ({JOB}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values_of(job))
            return job

        return self.file.transaction(work)

    def finish_job(self, job: str, exit_code: int) -> None:
        self.file.execute("UPDATE jobs SET finished = ?, exit_code = ? WHERE id = ?", [now(), exit_code, job])

    def jobs(self) -> list[Job]:
        return [job_of(row) for row in self.file.rows(f"SELECT {JOB} FROM jobs ORDER BY started DESC, id")]

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
                [stage.id, fingerprint, key, kind, name, now()],
            )
            return stage

        return self.file.transaction(work)

    def finish_stage(
        self,
        stage: str,
        measurements: Sequence[Measurement] = (),
        facts: dict[str, str] | None = None,
        divergence: Divergence | None = None,
    ) -> None:
        def work(db: Connection) -> None:
            finish(db, stage, measurements, facts or {}, now())
            if divergence is not None:
                keep_divergence(db, stage, divergence)

        self.file.transaction(work)

    def note_stage(self, stage: str, facts: dict[str, str]) -> None:
        self.file.execute("UPDATE stages SET facts = ? WHERE id = ?", [json.dumps(facts), stage])

    def finish_stages(
        self, work: Mapping[str, Sequence[Measurement]], facts: Mapping[str, dict[str, str]] | None = None
    ) -> None:
        def finish_all(db: Connection) -> None:
            for stage, measurements in work.items():
                finish(db, stage, measurements, (facts or {}).get(stage, {}), now())

        self.file.transaction(finish_all)

    def add_answers(self, stage: str, answers: Sequence[Answer]) -> None:
        rows = [
            {"stage": stage, "case_id": a.case, "prompt": a.prompt, "text": a.text, "finish": a.finish,
             "prompt_tokens": a.prompt_tokens, "new_tokens": a.new_tokens, "seconds": a.seconds, "error": a.error,
             "tokens": a.tokens, "logprobs": a.logprobs, "repeat": a.repeat}
            for a in answers
        ]  # fmt: skip
        self.file.transaction(lambda db: append(db, "answers", rows))

    def answers(self, stage: str) -> list[Answer]:
        return [
            answer_of(row)
            for row in self.file.rows(f"SELECT {ANSWER} FROM answers WHERE stage = ? ORDER BY case_id", [stage])
        ]

    def add_advice(self, stage: str, replies: Mapping[Question, Advice]) -> None:
        rows = [
            {"stage": stage, "question": question.id, "kind": question.kind, "asked": question.text,
             "reply": advice.reply, "error": advice.error}
            for question, advice in replies.items()
        ]  # fmt: skip
        self.file.transaction(lambda db: append(db, "advice", rows))

    def advice(self, stage: str) -> dict[str, Advice]:
        return self.file.transaction(lambda db: advice_in(db, stage))

    def advice_of(self, fingerprint: str, questions: Sequence[str], not_before: str) -> dict[str, Advice]:
        rows = self.file.rows(
            "SELECT question, any_value(reply) FROM advice JOIN stages ON id = stage WHERE fingerprint = ?"
            " AND stages.kind = 'advice' AND started >= ? AND list_contains(?, question) AND reply IS NOT NULL"
            " GROUP BY question",
            [fingerprint, not_before, list(questions)],
        )
        return {question: Advice(reply) for question, reply in rows}

    def add_spoken(self, stage: str, divergences: Sequence[AnswerDivergence]) -> None:
        rows = [
            {"stage": stage, "case_id": one.case, "repeat": one.repeat, "texts": one.texts, "kl": one.kl}
            for one in divergences
        ]
        self.file.transaction(lambda db: append(db, "answer_divergences", rows))

    def spoken(self, stage: str) -> dict[tuple[str, int], AnswerDivergence]:
        return self.file.transaction(lambda db: spoken_in(db, stage))

    def measurements(self, stage: str) -> list[Measurement]:
        return self.file.transaction(lambda db: stage_measurements(db, stage))

    def add_scores(self, stage: str, scores: dict[str, tuple[float, bool]]) -> None:
        rows = [
            {"stage": stage, "request": request, "log_likelihood": value, "greedy": greedy}
            for request, (value, greedy) in scores.items()
        ]
        self.file.transaction(lambda db: append(db, "scores", rows))

    def scores(self, stage: str) -> dict[str, tuple[float, bool]]:
        rows = self.file.rows("SELECT request, log_likelihood, greedy FROM scores WHERE stage = ?", [stage])
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
                    now(),
                ],
            )
            db.execute("DELETE FROM run_stages WHERE run = ?", [run.id])
            append(db, "run_stages", [{"run": run.id, "stage": stage} for stage in dict.fromkeys(stages)])

        self.file.transaction(work)

    def runs(self, job: str | None = None) -> list[Run]:
        where, values = ("WHERE job = ?", [job]) if job else ("", [])
        return [
            run_head(row)
            for row in self.file.rows(f"SELECT {RUN} FROM runs {where} ORDER BY created DESC, model", values)
        ]

    def run(self, run: str) -> Run:
        def work(db: Connection) -> Run:
            head = db.execute(f"SELECT {RUN} FROM runs WHERE id = ?", [run]).fetchone()
            if head is None:
                raise HarnessError(f"no run {run!r} in {self.file.path}; `secateur ls` lists what is stored")
            stages = db.execute(
                f"SELECT {STAGE} FROM stages JOIN run_stages ON stage = id WHERE run = ? ORDER BY started, id", [run]
            ).fetchall()
            return whole_run(db, run_head(head), [stage_of(row) for row in stages])

        return self.file.transaction(work)

    def save_receipt(self, run: str, receipt: str) -> None:
        self.file.execute("INSERT OR REPLACE INTO receipts VALUES (?, ?)", [run, receipt])

    def receipt(self, run: str) -> str | None:
        rows = self.file.rows("SELECT receipt FROM receipts WHERE run = ?", [run])
        return str(rows[0][0]) if rows else None

    def receipts(self) -> list[str]:
        return [str(row[0]) for row in self.file.rows("SELECT DISTINCT receipt FROM receipts ORDER BY receipt")]

    def save_verdict(self, verdict: VerdictRow, letters: Sequence[Letter] = ()) -> None:
        values = [*values_of(verdict)[:-1], verdict.created or now()]

        def work(db: Connection) -> None:
            db.execute(f"INSERT OR REPLACE INTO verdicts ({VERDICT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            enqueue(db, letters)

        self.file.transaction(work)

    def links(self, job: str) -> dict[str, str]:
        return Outbox(self.file).links(job)

    def save_derived(self, job: str, candidate: str, derived: Derived) -> None:
        self.file.transaction(lambda db: replace_derived(db, job, candidate, derived))

    def frame(self, name: str, where: Mapping[str, object] | None = None) -> DataFrame:
        """A table or view as pandas, its times as times; where: column -> value that rows must have.

        Raises HarnessError for a name or column that is not there, with those there are.
        """
        return self.file.transaction(lambda db: framed(db, name, where or {}))

    def verdicts(self, job: str | None = None) -> list[VerdictRow]:
        where, values = ("WHERE job = ?", [job]) if job else ("", [])
        return [
            VerdictRow(*row)
            for row in self.file.rows(
                f"SELECT {VERDICT} FROM verdicts {where} ORDER BY created DESC, candidate", values
            )
        ]
