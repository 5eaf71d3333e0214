"""Rows of the DuckDB store <-> records, and the columns in their order."""

from __future__ import annotations

import json
import math
from typing import Any

import duckdb

from harness.records import Answer, Item, Measurement, ModelSpec, Run
from harness.stores import Job, Stage, VerdictRow

Connection = duckdb.DuckDBPyConnection
Row = tuple[Any, ...]

JOB = "id, plan_name, plan, digest, fresh, started, finished, exit_code"
STAGE = "id, fingerprint, key, kind, name, finished IS NOT NULL, facts"
ANSWER = "case_id, prompt, text, finish, prompt_tokens, new_tokens, seconds, error"
RUN = "id, model, source, revision, adapter, dtype, fingerprint, created, job"
VERDICT = "job, candidate, decision, reason, before_run, after_run, findings, created"


def whole_run(db: Connection, run: Run, stages: list[Stage]) -> Run:
    """The run with what its stages hold."""
    for stage in stages:
        run.facts.update({f"{stage.name}: {key}": value for key, value in stage.facts.items()})
        if stage.kind == "suite":
            rows = db.execute(f"SELECT {ANSWER} FROM answers WHERE stage = ? ORDER BY case_id", [stage.id]).fetchall()
            run.answers[stage.name] = tuple(Answer(*row) for row in rows)
        run.measurements.update({m.metric: m for m in stage_measurements(db, stage.id)})
    return run


def stage_measurements(db: Connection, stage: str) -> list[Measurement]:
    items: dict[str, list[Item]] = {}
    rows = db.execute(
        "SELECT metric, id, hash, value, cluster, weight FROM items WHERE stage = ? ORDER BY metric, position", [stage]
    ).fetchall()
    for metric, name, digest, value, cluster, weight in rows:
        items.setdefault(metric, []).append(Item(name, digest, number_or_nan(value), cluster, weight))
    heads = db.execute(
        "SELECT metric, value, unit, higher_is_better, scale FROM measurements WHERE stage = ? ORDER BY metric", [stage]
    ).fetchall()
    return [
        Measurement(m, number_or_nan(v), unit, better, scale, tuple(items.get(m, ())))
        for m, v, unit, better, scale in heads
    ]


def stage_of(row: Row) -> Stage:
    name, fingerprint, key, kind, subject, finished, facts = row
    return Stage(name, fingerprint, key, kind, subject, finished, json.loads(facts))


def run_head(row: Row) -> Run:
    run, name, source, revision, adapter, dtype, fingerprint, created, job = row
    facts = {"created": created, "job": job}
    return Run(run, ModelSpec(name, source, revision, adapter, dtype), fingerprint, facts=facts)


def values_of(row: Job | VerdictRow) -> list[Any]:
    return list(vars(row).values())


def number_or_empty(value: float) -> float | None:
    """NaN is stored as empty: SQL averages would silently turn NaN otherwise."""
    return value if math.isfinite(value) else None


def number_or_nan(value: float | None) -> float:
    return math.nan if value is None else value
