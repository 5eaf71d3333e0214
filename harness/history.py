"""What is stored: find jobs and runs, judge them again, draw their pages again."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

import reports
from compress import Receipt
from harness.blessed import resolved, stored_beside
from harness.errors import HarnessError
from harness.inspection import loaded_suites, not_checked
from harness.noise import floors, stored_noise
from harness.plan import Plan
from harness.records import DECODING, DIGEST, ORIGINAL, Run
from harness.showing.publish import Heading, Judged, page
from harness.stores import Job, Store, VerdictRow
from harness.stores.baselines import BaselineTable
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.outbox import Outbox
from harness.trends.drawing import drawn
from harness.verdicts.compare import compare
from harness.verdicts.gate import Verdict, judge
from harness.verdicts.outcome import WARNING
from reports.page import Fact, Page
from suites import Suite

STORE = "secateur.duckdb"
PAGE = "report.html"
LIBRARIES = ("secateur", "torch", "transformers", "lm-eval", "duckdb")


def opened(out: Path, shared: str | None = None) -> DuckdbStore:
    """The store of a results folder, or what is shared at a folder or URL, to read. Raises HarnessError without one."""
    if shared is not None:
        from harness.stores.catalogue import catalogue
        from harness.stores.places import place

        return DuckdbStore(catalogue(place(shared)))
    path = out / STORE
    if not path.is_file():
        raise HarnessError(f"no store at {path}: `secateur run PLAN` makes one; --out names another folder")
    return DuckdbStore(path)


def found(store: Store, identifier: str | None) -> Job:
    """The job with this id, or the start of one, or one of its runs; the newest if none is given."""
    jobs = store.jobs()
    if not jobs:
        raise HarnessError("the store holds no job yet: `secateur run PLAN` makes one")
    if identifier is None:
        return jobs[0]
    owners = {run.facts["job"] for run in store.runs() if run.id == identifier}
    matching = [job for job in jobs if job.id.startswith(identifier) or job.id in owners]
    if len(matching) != 1:
        known = ", ".join(job.id for job in jobs[:5])
        what = "more than one job starts with" if matching else "no job or run"
        raise HarnessError(f"{what} {identifier!r}; newest jobs: {known}; `secateur ls` lists all")
    return matching[0]


def compared(store: DuckdbStore, before: str, after: str, plan: Plan | None) -> Verdict:
    """Judge two runs: by the plan given, or by that of the candidate's own job."""
    old, new = store.run(before), store.run(after)
    job = found(store, after)
    own = Plan.model_validate_json(job.plan)
    plan = plan or own
    if new.model.name == ORIGINAL or old.model.name != ORIGINAL:
        raise HarnessError(
            f"compare takes the original's run first, then a candidate's; {before} is of {old.model.name}, "
            f"{after} of {new.model.name}"
        )
    suites = [suite for suite in loaded_suites(plan) if suite.name in new.answers]
    refuse_changed(suites, old, new)
    others = stored_beside(resolved(plan, store, job.facts), store, (old, new), suites)
    return judge(compare(old, new, suites, own.sequential), plan.gates, others)


def publish(store: DuckdbStore, job: Job, path: Path, suites: Sequence[Suite] | None = None) -> Path:
    """Judge a job's candidates again from what is stored, and write the page. suites: the plan's, if loaded."""
    reports.write(judged_again(store, job, suites), path)
    return path


def judged_again(store: DuckdbStore, job: Job, loaded: Sequence[Suite] | None = None) -> Page:
    """Judge a job's candidates again from what is stored. Raises HarnessError if none has a verdict."""
    plan = Plan.model_validate_json(job.plan)
    suites = loaded if loaded is not None else loaded_suites(plan)
    rows = sorted(store.verdicts(job.id), key=lambda row: list(plan.candidates).index(row.candidate))
    links, table = store.links(job.id), BaselineTable(store.file)
    metrics = [gate.metric for gate in plan.gates]
    judged = [
        replace(
            _judged(store, row, job, suites),
            url=links.get(row.after_run),
            trends=tuple(drawn(table, plan.name, row.candidate, job.id, metrics)),
        )
        for row in rows
        if row.decision != "ERROR"
    ]
    if not judged:
        raise HarnessError(f"job {job.id} has no verdict to show")
    failed = tuple(f"{row.candidate} could not be judged: {row.reason}" for row in rows if row.decision == "ERROR")
    notes = (*failed, *not_checked(suites))
    noise = stored_noise(store, job.id, suites)
    floor = floors(noise) if noise else {}
    about = (*provenance(job, suites), *_told(store, job))
    heading = Heading(plan.name, readable(job.started), job.command, about, notes, floor, _plan_text(plan))
    return page(heading, judged)


def _judged(store: DuckdbStore, row: VerdictRow, job: Job, suites: Sequence[Suite]) -> Judged:
    plan = Plan.model_validate_json(job.plan)
    before, after = store.run(row.before_run), store.run(row.after_run)
    refuse_changed(suites, before, after)
    comparison = compare(before, after, suites, plan.sequential)
    others = stored_beside(resolved(plan, store, job.facts), store, (before, after), suites)
    verdict = replace(judge(comparison, plan.gates, others), severity=plan.candidates[row.candidate].severity)
    receipt = store.receipt(after.id)
    return Judged(before, after, comparison, verdict, Receipt.from_json(receipt) if receipt else None)


def _told(store: DuckdbStore, job: Job) -> Iterator[Fact]:
    """What became of what was to be told to others."""
    counts = Outbox(store.file).counted(job.id)
    if counts:
        yield Fact(
            "letters to PromptLayer or a collector", ", ".join(f"{count} {name}" for name, count in counts.items())
        )


def environment() -> dict[str, str]:
    """Versions and machine, as they are now."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return {
        "versions": f"python {platform.python_version()}, {versions}",
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
    }


def provenance(job: Job, suites: Sequence[Suite] = ()) -> tuple[Fact, ...]:
    """What a page says of where it comes from, but for the plan itself. suites: those that are asked."""
    known = {"job": job.id, "plan digest": job.digest, "started": job.started, **job.facts}
    drawn = ", ".join(suite.name for suite in suites if suite.sampling)
    but = f", but for suites that are sampled: {drawn}" if drawn else ""
    known |= {DECODING: f"greedy{but}; chat template of the model"}
    return tuple(Fact(name, value) for name, value in known.items())


def _plan_text(plan: Plan) -> str:
    """The plan as YAML with every default written out, so that it means the same in later versions."""
    return yaml.safe_dump(plan.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)


def readable(moment: str) -> str:
    """To the minute."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def refuse_changed(suites: Sequence[Suite], *runs: Run) -> None:
    """Old answers are never graded by another suite than the one that was asked."""
    for suite in suites:
        for run in runs:
            asked = run.facts.get(f"{suite.name}: {DIGEST}")
            if asked is not None and asked != suite.digest:
                raise HarnessError(
                    f"suite {suite.name} has changed since run {run.id} was made; bring the old file back, or run again"
                )


def listed(store: Store) -> Iterator[str]:
    """A line a verdict, newest job first."""
    rows: dict[str, list[VerdictRow]] = {}
    for row in store.verdicts():
        rows.setdefault(row.job, []).append(row)
    yield f"{'job':10}{'started':22}{'plan':20}{'candidate':16}{'verdict':14}{'before':10}{'after':10}"
    for job in store.jobs():
        state = "running or interrupted" if job.finished is None else ""
        head = f"{job.id:10}{readable(job.started):22}{job.plan_name:20}"
        plan = json.loads(job.plan)
        for row in rows.get(job.id, []):
            remarks = "; ".join(filter(None, (_warns(plan, row.candidate), state)))
            yield f"{head}{row.candidate:16}{row.decision:14}{row.before_run:10}{row.after_run:10}{remarks}".rstrip()
        if job.id not in rows:
            yield f"{head}{state or ('search' if plan.get('search') is not None else 'no verdict')}"


def _warns(plan: Mapping[str, Any], candidate: str) -> str:
    """What is said of a candidate that does not decide; empty of one that does. plan: as stored."""
    return WARNING if plan.get("candidates", {}).get(candidate, {}).get("severity") == "warn" else ""


def shown(store: Store, identifier: str) -> Iterator[str]:
    """A job with its findings, or a run with its numbers."""
    if identifier not in {run.id for run in store.runs()}:
        yield from _shown_job(store, found(store, identifier))
        return
    run = store.run(identifier)
    yield f"run {run.id}: {run.model.name}, {run.model.source}, fingerprint {run.fingerprint[:16]}"
    for suite, answers in run.answers.items():
        unanswered = sum(answer.text is None for answer in answers)
        yield f"  {suite}: {len(answers)} answers" + (f", {unanswered} not answered" if unanswered else "")
    for measurement in run.measurements.values():
        yield f"  {measurement.metric}: {measurement.value:.6g} {measurement.unit} ({len(measurement.items)} items)"
    for name, value in run.facts.items():
        yield f"  {name}: {value}"


def _shown_job(store: Store, job: Job) -> Iterator[str]:
    yield f"job {job.id}: plan {job.plan_name}, started {job.started}, finished {job.finished or 'no'}"
    plan = json.loads(job.plan)
    for row in store.verdicts(job.id):
        warns = _warns(plan, row.candidate)
        yield f"{row.candidate}: {row.decision}{warns and f' ({warns})'}: {row.reason}"
        for finding in json.loads(row.findings):
            yield f"  {finding['gate']['metric']}: {finding['decision']}: {finding['reason']}"
    yield f"plan: {job.plan}"
