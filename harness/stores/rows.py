"""Rows of the DuckDB store <-> records, and the columns in their order."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import duckdb

from harness.records import Answer, AnswerDivergence, Divergence, Item, Measurement, ModelSpec, Passage, Price, Run
from harness.stores import Job, Stage, VerdictRow
from harness.stores.derived import Derived
from suites.advice import Advice

Connection = duckdb.DuckDBPyConnection
Row = tuple[Any, ...]

JOB = "id, plan_name, plan, digest, command, facts, fresh, started, finished, exit_code"
STAGE = "id, fingerprint, key, kind, name, finished IS NOT NULL, facts"
ANSWER = "case_id, prompt, text, finish, prompt_tokens, new_tokens, seconds, error, tokens, logprobs, repeat"
ITEM = "metric, id, hash, value, cluster, weight, choices"
RUN = "id, model, source, revision, adapter, dtype, fingerprint, created, job"
VERDICT = "job, candidate, decision, reason, before_run, after_run, findings, created"


def whole_run(db: Connection, run: Run, stages: list[Stage]) -> Run:
    """The run with what its stages hold."""
    for stage in stages:
        run.facts.update({f"{stage.name}: {key}": value for key, value in stage.facts.items()})
        if stage.kind == "suite":
            rows = db.execute(f"SELECT {ANSWER} FROM answers WHERE stage = ? ORDER BY case_id", [stage.id]).fetchall()
            run.answers[stage.name] = (*run.answers.get(stage.name, ()), *map(answer_of, rows))
        if stage.kind == "advice":
            run.advice.update(advice_in(db, stage.id))
        if stage.kind == "divergence":
            run.spoken[stage.name] = spoken_in(db, stage.id)
        run.measurements.update({m.metric: m for m in stage_measurements(db, stage.id)})
    divergences = _divergences(db, [stage.id for stage in stages])
    return replace(run, divergences=divergences, price=_price(db, run.facts["job"]))


def _price(db: Connection, job: str) -> Price | None:
    """That of the job's plan."""
    rows = db.execute("SELECT plan->>'$.price' FROM jobs WHERE id = ?", [job]).fetchall()
    given = json.loads(rows[0][0]) if rows and rows[0][0] else None
    if given is None:
        return None
    return Price(given["per_hour"], given["per_million_input_tokens"], given["per_million_output_tokens"])


def _divergences(db: Connection, stages: list[str]) -> tuple[Divergence, ...]:
    rows = db.execute(
        "SELECT divergence FROM stages WHERE divergence IS NOT NULL AND list_contains(?, id) ORDER BY started, id",
        [stages],
    ).fetchall()
    return tuple(divergence_of(json.loads(text)) for (text,) in rows)


def stage_measurements(db: Connection, stage: str) -> list[Measurement]:
    items: dict[str, list[Item]] = {}
    rows = db.execute(f"SELECT {ITEM} FROM items WHERE stage = ? ORDER BY metric, position", [stage]).fetchall()
    for metric, name, digest, value, cluster, weight, choices in rows:
        item = Item(name, digest, number_or_nan(value), cluster, weight, tuple(choices or ()))
        items.setdefault(metric, []).append(item)
    heads = db.execute(
        "SELECT metric, value, unit, higher_is_better, scale FROM measurements WHERE stage = ? ORDER BY metric", [stage]
    ).fetchall()
    return [
        Measurement(m, number_or_nan(v), unit, better, scale, tuple(items.get(m, ())))
        for m, v, unit, better, scale in heads
    ]


def advice_in(db: Connection, stage: str) -> dict[str, Advice]:
    """Replies by the id of their question."""
    rows = db.execute("SELECT question, reply, error FROM advice WHERE stage = ?", [stage]).fetchall()
    return {question: Advice(reply, error) for question, reply, error in rows}


def spoken_in(db: Connection, stage: str) -> dict[tuple[str, int], AnswerDivergence]:
    """Divergences over the original's answers, by case and repeat."""
    rows = db.execute("SELECT case_id, repeat, texts, kl FROM answer_divergences WHERE stage = ?", [stage]).fetchall()
    return {(case, repeat): AnswerDivergence(case, repeat, tuple(texts), tuple(kl)) for case, repeat, texts, kl in rows}


def answer_of(row: Row) -> Answer:
    *plain, tokens, logprobs, repeat = row
    lists = (None if numbers is None else tuple(numbers) for numbers in (tokens, logprobs))
    return Answer(*[*plain, *lists, repeat])


def job_of(row: Row) -> Job:
    name, plan_name, plan, digest, command, facts, *rest = row
    return Job(name, plan_name, plan, digest, command, json.loads(facts), *rest)


def stage_of(row: Row) -> Stage:
    name, fingerprint, key, kind, subject, finished, facts = row
    return Stage(name, fingerprint, key, kind, subject, finished, json.loads(facts))


def run_head(row: Row) -> Run:
    run, name, source, revision, adapter, dtype, fingerprint, created, job = row
    facts = {"created": created, "job": job}
    return Run(run, ModelSpec(name, source, revision, adapter, dtype), fingerprint, facts=facts)


def divergence_of(raw: dict[str, Any]) -> Divergence:
    """The inverse of `asdict`."""
    passages = tuple(
        Passage(**{**one, "texts": tuple(one["texts"]), "kl": tuple(one["kl"])}) for one in raw["passages"]
    )
    percentiles = tuple((share, value) for share, value in raw["percentiles"])
    return Divergence(raw["label"], tuple(raw["edges"]), tuple(raw["counts"]), percentiles, passages)


def keep_divergence(db: Connection, stage: str, divergence: Divergence) -> None:
    """Beside what `finish` wrote of the same stage."""
    db.execute("UPDATE stages SET divergence = ? WHERE id = ?", [json.dumps(asdict(divergence)), stage])


def values_of(row: Job | VerdictRow) -> list[Any]:
    """In the order of the columns; a mapping as JSON."""
    return [json.dumps(value) if isinstance(value, dict) else value for value in vars(row).values()]


def number_or_empty(value: float) -> float | None:
    """NaN is stored as empty: SQL averages would silently turn NaN otherwise."""
    return value if math.isfinite(value) else None


def number_or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def append(db: Connection, table: str, rows: list[dict[str, Any]]) -> None:
    """Bulk insert; rows whose key is already there are left as they are."""
    if not rows:
        return
    import pyarrow

    batch = pyarrow.Table.from_pylist(rows)
    db.register("batch", batch)
    db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch ON CONFLICT DO NOTHING")
    db.unregister("batch")


def finish(db: Connection, stage: str, measurements: Sequence[Measurement], facts: dict[str, str], moment: str) -> None:
    """Write what a stage measured, and the mark that all is there."""
    heads = [
        {"stage": stage, "metric": m.metric, "value": number_or_empty(m.value), "unit": m.unit,
         "higher_is_better": m.higher_is_better, "scale": m.scale}
        for m in measurements
    ]  # fmt: skip
    items = [
        {"stage": stage, "metric": m.metric, "position": position, "id": item.id, "hash": item.hash,
         "value": number_or_empty(item.value), "cluster": item.cluster, "weight": item.weight,
         "choices": item.choices or None}
        for m in measurements
        for position, item in enumerate(m.items)
    ]  # fmt: skip
    append(db, "measurements", heads)
    append(db, "items", items)
    db.execute("UPDATE stages SET finished = ?, facts = ? WHERE id = ?", [moment, json.dumps(facts), stage])


def replace_derived(db: Connection, job: str, candidate: str, derived: Derived) -> None:
    """Write what is derived from a candidate's comparison in place of what was."""
    key = {"job": job, "candidate": candidate}
    for table, rows in (("deltas", derived.deltas), ("flips", derived.flips)):
        db.execute(f"DELETE FROM {table} WHERE job = ? AND candidate = ?", [job, candidate])
        append(db, table, [key | asdict(row) for row in rows])
    for table, marks in (("checks", derived.checks), ("grades", derived.grades)):
        for run in dict.fromkeys(row.run for row in marks):
            db.execute(f"DELETE FROM {table} WHERE run = ?", [run])
        append(db, table, [asdict(row) for row in marks])
