"""The main job, read top to bottom: ask the original, make and ask each candidate, compare, decide, report."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from compress import CompressError, read_receipt
from harness.assessing import advised, spoken
from harness.blessed import resolved, stored_beside
from harness.candidates.lessons import taught
from harness.candidates.observations import observations
from harness.candidates.stages import staged
from harness.candidates.subjects import candidate_subject
from harness.candidates.workshop import Workshop
from harness.deriving import derived
from harness.digest import digest
from harness.endpoints import CHAT, EndpointError, engine_mark, refuse_unable
from harness.errors import HarnessError
from harness.executors import Executor
from harness.executors.spreading import spread
from harness.fidelity.corpus import load_corpora
from harness.history import PAGE, STORE, environment, publish
from harness.inspection import loaded_suites, not_checked, refuse_impossible
from harness.looks import measured_in_looks
from harness.measuring import Context, measured, measured_pair, refuse_whole_texts, unfinished
from harness.models.subject import Subject
from harness.noise import floor_lines, measured_again
from harness.plan import Plan
from harness.plan_models import spec
from harness.progress import Progress, silent
from harness.records import ORIGINAL, Run
from harness.showing.outputs import finding_facts
from harness.showing.publish import Judged
from harness.stores import Asked, VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.telling.letters import letters
from harness.telling.telemetry import telemetry
from harness.verdicts.compare import compare
from harness.verdicts.gate import Verdict, judge
from harness.verdicts.outcome import Outcome, sentence
from suites import Suite
from suites.errors import SuiteError


def run(
    plan: Plan,
    out: Path = Path("out"),
    *,
    fresh: bool = False,
    progress: Progress = silent,
    command: str = "",
    executor: Executor | None = None,
) -> Outcome:
    """Compress, ask both models, compare, decide. Interrupted, the same call goes on where it stopped.

    out: folder for the store, the candidates made and the page. fresh: use no stored result. command: what was typed,
    for the page. executor: makes candidates and asks elsewhere, before what is left of that is done here.
    Raises HarnessError for a plan that cannot be run; a candidate that cannot be judged is in `failures`.
    """
    ready = prepared(plan)
    return run_prepared(ready, out, fresh=fresh, progress=progress, command=command, executor=executor)


@dataclass(frozen=True)
class Prepared:
    """A plan with its suites, which take seconds to load where they are large."""

    plan: Plan
    suites: tuple[Suite, ...]


def prepared(plan: Plan) -> Prepared:
    """Raises HarnessError for a plan without candidates, and for stages and suites that cannot be."""
    if not plan.candidates:
        raise HarnessError(f"plan {plan.name}: no candidates to run; `secateur search` makes some, or name them")
    plan = staged(plan)
    return Prepared(plan, tuple(loaded_suites(plan)))


def run_prepared(
    ready: Prepared,
    out: Path,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    command: str = "",
    executor: Executor | None = None,
) -> Outcome:
    """The same as `run`, for whoever needs the suites too."""
    plan, suites = ready.plan, ready.suites
    refuse_impossible(plan, suites)
    if (out / PAGE).is_dir():
        raise HarnessError(f"{out / PAGE} is a folder; the page goes there, so remove it or choose another --out")
    original = Subject(spec(ORIGINAL, plan.original), progress)
    store = DuckdbStore(out / STORE)
    content = plan.model_dump_json()
    facts = environment() | resolved(plan, store)
    job = store.begin_job(Asked(plan.name, content, digest(content), command, facts, fresh))
    context = Context(plan, suites, job, store, out, progress)
    _refuse_unable(original, context)
    workshop = Workshop(original, out / "models", taught(original, context), progress, lambda: observations(store))
    there = spread(executor, original, workshop, context) if executor is not None else {}
    shared = () if plan.sequential else measured(original, context)
    noise = tuple(floor_lines(measured_again(original, shared, context))) if plan.noise else ()
    if original.served:
        original.release()
    verdicts: list[Verdict] = []
    errors: dict[str, Exception] = {}
    for name in plan.candidates:
        try:
            after = there.get(name) or candidate_subject(name, plan, workshop, progress)
            verdicts.append(_judged(original, after, shared, context))
        except (HarnessError, CompressError, SuiteError, OSError) as error:
            errors[name] = error
            store.save_verdict(VerdictRow(job.id, name, "ERROR", _reason(error), "", "", "[]"))
    report = publish(store, job, out / PAGE, suites) if verdicts else None
    failures = {name: _reason(error) for name, error in errors.items()}
    warns = frozenset(name for name, one in plan.candidates.items() if one.severity == "warn")
    outcome = Outcome(plan.name, job.id, tuple(verdicts), failures, report, not_checked(suites), noise, warns)
    if not any(isinstance(error, EndpointError) for error in errors.values()):
        store.finish_job(job.id, outcome.exit_code)
    return outcome


def _reason(error: Exception) -> str:
    """Why a candidate could not be judged; where its endpoint is down, the job stays open."""
    return f"{error}; the same command asks for the rest" if isinstance(error, EndpointError) else str(error)


def _refuse_unable(original: Subject, context: Context) -> None:
    """Raise HarnessError, before any work, for a server that is not there or cannot do what is asked of it."""
    candidates = context.plan.candidates.items()
    served = [Subject(spec(name, one), context.progress) for name, one in candidates if one.endpoint]
    judge = context.panel.specs.get("judge")
    if judge is not None and judge.endpoint is not None and any("judge" in suite.needs for suite in context.suites):
        refuse_unable(judge.endpoint, {CHAT})
    if any(one.engine == "vllm" for one in (context.plan.original, *context.plan.candidates.values())):
        engine_mark()
        refuse_whole_texts(context.plan.benchmarks)
    for subject in [original, *served]:
        if subject.spec.endpoint is not None:
            refuse_unable(subject.spec.endpoint, unfinished(subject, context))


def _judged(original: Subject, after: Subject, shared: tuple[str, ...], context: Context) -> Verdict:
    """Ask the candidate, store both runs, compare them, decide, and store the decision."""
    store, job, plan = context.store, context.job, context.plan
    name = after.spec.name
    if plan.sequential:
        asked = measured_in_looks(original, after, context)
        shared, own = asked.before, asked.after
    else:
        own = measured(after, context)
    corpora = load_corpora(plan.fidelity, plan.half) if plan.fidelity else []
    pair = measured_pair(original, after, corpora, context)
    own += spoken(original, after, context)
    after.release()
    advice = advised(original, after, context)
    before_run = Run(digest(job.id, name, "before")[:8], original.spec, original.fingerprint)
    after_run = Run(digest(job.id, name, "after")[:8], after.spec, after.fingerprint)
    store.save_run(before_run, job.id, (*shared, *pair.before, *advice))
    store.save_run(after_run, job.id, (*own, *pair.after, *advice))
    if plan.candidates[name].recipe is not None:
        store.save_receipt(after_run.id, read_receipt(after.spec.source).to_json())
    before_run, after_run = store.run(before_run.id), store.run(after_run.id)
    comparison = compare(before_run, after_run, context.suites, plan.sequential)
    baselines = {name: job.facts[name] for name in plan.baselines}
    others = stored_beside(baselines, store, (before_run, after_run), context.suites)
    verdict = replace(judge(comparison, plan.gates, others), severity=plan.candidates[name].severity)
    findings = json.dumps([finding_facts(finding) for finding in verdict.findings])
    told = Judged(before_run, after_run, comparison, verdict, None)
    store.save_verdict(
        VerdictRow(job.id, name, verdict.decision, sentence([verdict]), before_run.id, after_run.id, findings),
        [
            *(letters(plan.promptlayer, job, told) if plan.promptlayer else ()),
            *(telemetry(plan.otlp, job, told) if plan.otlp else ()),
        ],
    )
    store.save_derived(job.id, name, derived(comparison, before_run.id, after_run.id))
    return verdict
