"""Finalists, judged by the main job on the cases and documents that the search has not seen."""

from __future__ import annotations

from dataclasses import replace

from harness.errors import HarnessError
from harness.pipeline import run
from harness.plan_models import Candidate
from harness.search.bench import Bench
from harness.search.courses import Course
from harness.search.strategy import finalists
from harness.stores.trials import TrialRow


def judge_finalists(course: Course, bench: Bench, command: str) -> None:
    """Judge what passed among the searched cases, and safer ones while none PASSes and time is left."""
    best = course.best
    if best is None:
        return
    sparsities = finalists(best.sparsity, bench.form.sparsity[0], bench.form.resolution)
    for number, sparsity in enumerate(sparsities):
        if number and not bench.ledger.affords("verdict", course.variant.name, sparsity):
            return
        if judged(course, sparsity, command, bench, len(sparsities)).decision == "PASS":
            return


def judged(course: Course, sparsity: float, command: str, bench: Bench, finalists: int) -> TrialRow:
    """The verdict on one finalist, now or before. command: what was typed. finalists: how many share alpha at most."""
    variant, shares = course.variant, bench.held_out.gates
    gates = [gate.model_copy(update={"alpha": gate.alpha / finalists}) for gate in shares]
    bare = bench.held_out.model_copy(update={"gates": gates, "search": None})
    known = course.screening.divergence.height(sparsity)
    row = replace(
        bench.ledger.begun("verdict", variant.name, sparsity),
        parameters=bench.cuts.forecast(variant, sparsity).parameters[1],
        divergence=known.middle,
        divergence_low=known.low,
        divergence_high=known.high,
    )

    def work() -> TrialRow:
        name, context = variant.candidate(sparsity), bench.searched
        candidate = Candidate(recipe=variant.at(sparsity), dtype=bare.original.dtype)
        plan = bare.model_copy(update={"candidates": {name: candidate}})
        outcome = run(plan, context.out, progress=context.progress, command=command)
        for why in outcome.failures.values():
            raise HarnessError(f"{name}: {why}")
        (verdict,) = bench.store.verdicts(outcome.job)
        return replace(
            row,
            decision=verdict.decision,
            reason=verdict.reason,
            findings=verdict.findings,
            verdict_job=outcome.job,
        )

    return bench.ledger.step(row, work)
