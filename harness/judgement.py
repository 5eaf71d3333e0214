"""A comparison as a test asserts it: run a plan, judge two stored runs or two files, and say what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.history import compared, found, opened
from harness.imports import are_files
from harness.imports.judging import judged_files
from harness.inspection import loaded_suites
from harness.plan import Plan
from harness.plan_file import load_plan, only
from harness.showing.outputs import verdict_lines
from harness.stores import Store
from harness.verdicts.compare import Comparison, compare
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import deciders, worst
from suites.assertions import shown

SHOWN = 5
"""Lost cases that a message tells of, for each candidate."""


@dataclass(frozen=True)
class Judgement:
    """What a comparison came to."""

    verdicts: tuple[Verdict, ...]
    losses: tuple[str, ...] = ()
    """Lines on the cases that passed before and fail after, a few for each candidate."""
    failures: tuple[str, ...] = ()
    """Candidates that could not be judged, and why."""
    report: Path | None = None
    warnings: tuple[str, ...] = ()
    """Candidates that only warn and could not be judged, and why."""

    @property
    def decision(self) -> str:
        """The worst: ERROR if a candidate could not be judged, else REGRESSION, INCONCLUSIVE or PASS."""
        return "ERROR" if self.failures else worst([verdict.decision for verdict in deciders(self.verdicts)])

    def __str__(self) -> str:
        lines = [line for verdict in self.verdicts for line in verdict_lines(verdict)]
        report = [f"report: {self.report}"] if self.report else []
        return "\n".join([*lines, *self.failures, *self.warnings, *self.losses, *report])


def judged_plan(plan: str | Path | Plan, out: Path = Path("out"), candidate: str | None = None) -> Judgement:
    """Run a plan; what is stored in `out` is not asked again. candidate: only this one of the plan."""
    # It loads torch, which two files of results do without.
    from harness.pipeline import run

    whole = plan if isinstance(plan, Plan) else load_plan(str(plan))
    chosen = only(whole, candidate) if candidate else whole
    outcome = run(chosen, out)
    store = opened(out)
    losses = [
        line
        for row in store.verdicts(outcome.job)
        if row.decision == "REGRESSION"
        for line in _losses(_comparison(store, row.before_run, row.after_run, chosen))
    ]
    told = {name: f"{name}: could not finish: {why}" for name, why in outcome.failures.items()}
    failures = tuple(line for name, line in told.items() if name not in outcome.warning_only)
    warnings = tuple(line for name, line in told.items() if name in outcome.warning_only)
    return Judgement(outcome.verdicts, tuple(losses), failures, outcome.report, warnings)


def judged_pair(before: str, after: str, margin: float = 0.05, out: Path = Path("out")) -> Judgement:
    """Judge two files of results made elsewhere, by `margin`, or two stored runs, by the plan they belong to."""
    if are_files(before, after):
        return Judgement((judged_files(before, after, None, margin),))
    store = opened(out)
    plan = Plan.model_validate_json(found(store, after).plan)
    verdict = compared(store, before, after, plan)
    return Judgement((verdict,), tuple(_losses(_comparison(store, before, after, plan))))


def assert_no_regression(judgement: Judgement, allow_inconclusive: bool = False) -> None:
    """Raise AssertionError, with every gate and some of what was lost, unless the decision is PASS."""
    __tracebackhide__ = True
    allowed = {"PASS", "INCONCLUSIVE"} if allow_inconclusive else {"PASS"}
    if judgement.decision not in allowed:
        raise AssertionError(str(judgement))


def _comparison(store: Store, before: str, after: str, plan: Plan) -> Comparison:
    old, new = store.run(before), store.run(after)
    return compare(old, new, [suite for suite in loaded_suites(plan) if suite.name in new.answers])


def _losses(comparison: Comparison) -> Iterator[str]:
    lost = [flip for flip in comparison.flips if flip.kind == "loss" and flip.after_graded is not None]
    if lost:
        yield f"{comparison.candidate.name}: lost {len(lost)} cases"
    for flip in lost[:SHOWN]:
        why = f": {flip.after_graded.reason}" if flip.after_graded and flip.after_graded.reason else ""
        yield f"  {flip.id}: {shown(flip.before)} became {shown(flip.after)}{why}"
    if len(lost) > SHOWN:
        yield f"  ... and {len(lost) - SHOWN} more"
