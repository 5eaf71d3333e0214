"""The main job, read top to bottom: ask the original, make and ask each candidate, compare, decide, report."""

from __future__ import annotations

import json
from pathlib import Path

from compress.errors import CompressError
from harness.compare import compare
from harness.corpus import load_corpus
from harness.digest import digest
from harness.errors import HarnessError
from harness.gate import Verdict, judge
from harness.history import STORE, publish
from harness.inspection import loaded_suites, refuse_impossible
from harness.making import Workshop, recipe_of
from harness.measuring import Context, measured, measured_pair
from harness.outcome import Outcome, sentence
from harness.outputs import finding_facts
from harness.plan import Candidate, Plan, spec
from harness.progress import Progress, silent
from harness.records import ORIGINAL, ModelSpec, Run
from harness.stores import VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.subject import Subject


def run(plan: Plan, out: Path = Path("out"), *, fresh: bool = False, progress: Progress = silent) -> Outcome:
    """Compress, ask both models, compare, decide. Interrupted, the same call goes on where it stopped.

    out: folder for the store, the candidates made and the page. fresh: use no stored result.
    Raises HarnessError for a plan that cannot be run; a candidate that cannot be judged is in `failures`.
    """
    suites = loaded_suites(plan)
    refuse_impossible(plan, suites)
    original = Subject(spec(ORIGINAL, plan.original), progress)
    store = DuckdbStore(out / STORE)
    content = plan.model_dump_json()
    job = store.begin_job(plan.name, content, digest(content), fresh=fresh)
    context = Context(plan, suites, job, store, out, progress)
    shared = measured(original, context)
    workshop = Workshop(original, out / "models", progress)
    verdicts: list[Verdict] = []
    failures: dict[str, str] = {}
    for name, candidate in plan.candidates.items():
        try:
            after = _subject(name, candidate, workshop, context)
            verdicts.append(_judged(original, after, shared, context))
        except (HarnessError, CompressError) as error:
            failures[name] = str(error)
            store.save_verdict(VerdictRow(job.id, name, "ERROR", str(error), "", "", "[]"))
    report = publish(store, job, out / "report.html") if verdicts else None
    outcome = Outcome(plan.name, job.id, tuple(verdicts), failures, report)
    store.finish_job(job.id, outcome.exit_code)
    return outcome


def _subject(name: str, candidate: Candidate, workshop: Workshop, context: Context) -> Subject:
    """The candidate as a model: made from its recipe, or already there."""
    if candidate.recipe is None:
        return Subject(spec(name, candidate), context.progress)
    folder = workshop.made(name, recipe_of(candidate.recipe))
    subject = Subject(ModelSpec(name, str(folder)), context.progress)
    context.store.save_receipt(subject.fingerprint, (folder / "receipt.json").read_text(encoding="utf-8"))
    return subject


def _judged(original: Subject, after: Subject, shared: tuple[str, ...], context: Context) -> Verdict:
    """Ask the candidate, store both runs, compare them, decide, and store the decision."""
    store, job, plan = context.store, context.job, context.plan
    name = after.spec.name
    own = measured(after, context)
    corpus = load_corpus(plan.fidelity) if plan.fidelity else None
    pair = measured_pair(original, after, corpus, context)
    after.release()
    before_run = Run(digest(job.id, name, "before")[:8], original.spec, original.fingerprint)
    after_run = Run(digest(job.id, name, "after")[:8], after.spec, after.fingerprint)
    store.save_run(before_run, job.id, (*shared, *pair.before))
    store.save_run(after_run, job.id, (*own, *pair.after))
    verdict = judge(compare(store.run(before_run.id), store.run(after_run.id), context.suites), plan.gates)
    findings = json.dumps([finding_facts(finding) for finding in verdict.findings])
    store.save_verdict(
        VerdictRow(job.id, name, verdict.decision, sentence([verdict]), before_run.id, after_run.id, findings)
    )
    return verdict
