"""All that one search works with, made ready before any model is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.candidates.observations import observations
from harness.digest import digest
from harness.errors import HarnessError
from harness.history import STORE, environment
from harness.inspection import loaded_suites, refuse_impossible
from harness.measuring import Context
from harness.models.subject import Subject
from harness.outlook import outlook
from harness.plan import Plan
from harness.plan_models import spec
from harness.progress import Progress
from harness.records import ORIGINAL
from harness.search.cuts import Cuts
from harness.search.form import Search
from harness.search.ledger import Ledger
from harness.search.parting import parted
from harness.search.strategy import SAFER
from harness.search.target import Target
from harness.search.variants import Variant, variants
from harness.stores import Asked
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.trials import TrialTable
from suites import Suite


@dataclass(frozen=True)
class Bench:
    """Of one search of one plan."""

    form: Search
    variants: list[Variant]
    held_out: Plan
    """What finalists are judged by; it has no candidate yet."""
    searched: Context
    """What everything before is decided by: the other half, with the gates that need no meter."""
    original: Subject
    cuts: Cuts
    ledger: Ledger
    store: DuckdbStore


def prepared(plan: Plan, out: Path, progress: Progress, command: str) -> Bench:
    """Raises HarnessError for a plan that cannot be searched, with every fault that can be seen now."""
    if plan.search is None:
        raise HarnessError(f"plan {plan.name}: no 'search' in it; give at least search: {{methods: [cfsp]}}")
    if plan.original.endpoint:
        raise HarnessError(f"plan {plan.name}: original: a search cuts weights, and an endpoint has none")
    if why := plan.original.not_cut:
        raise HarnessError(f"plan {plan.name}: original: a search cuts float weights in one place; {why}")
    if plan.original.engine == "vllm":
        raise HarnessError(f"plan {plan.name}: original: a search cuts in memory, which engine vllm cannot be asked of")
    if plan.baselines:
        raise HarnessError(f"plan {plan.name}: against: a blessed run was asked everything, a search asks halves")
    form, named = plan.search, variants(plan.search)
    if form.target is not None:
        plan = _aiming(plan, form.target)
    bare = plan.model_copy(update={"candidates": {}, "noise": False})
    held_out, searched = parted(bare, "held_out"), parted(bare, "searched")
    judging = loaded_suites(held_out)
    refuse_impossible(held_out, judging)
    _refuse_hopeless(held_out, judging)
    gates = [gate for gate in plan.gates if gate.metric.partition(".")[0] not in plan.metrics]
    if all(gate.severity == "warn" for gate in gates):
        raise HarnessError(f"plan {plan.name}: a search needs a blocking gate on a suite, a benchmark or fidelity")
    searched = searched.model_copy(update={"gates": gates, "metrics": []})
    suites = loaded_suites(searched)
    refuse_impossible(searched, suites)
    original = Subject(spec(ORIGINAL, plan.original), progress)
    store = DuckdbStore(out / STORE)
    content = plan.model_dump_json()
    job = store.begin_job(Asked(plan.name, content, digest("search", content), command, environment()))
    return Bench(
        form=form,
        variants=named,
        held_out=held_out,
        searched=Context(searched, suites, job, store, out, progress),
        original=original,
        cuts=Cuts(original, out / "models", progress, lambda: observations(store)),
        ledger=Ledger(TrialTable(store.file), job.id, form.budget),
        store=store,
    )


def _aiming(plan: Plan, target: Target) -> Plan:
    """The plan with a gate on what is to be reached, and its meter."""
    meter = target.metric.partition(".")[0]
    metrics = plan.metrics if meter in plan.metrics else [*plan.metrics, meter]
    return plan.model_copy(update={"metrics": metrics, "gates": [*plan.gates, target.gate]})


def _refuse_hopeless(held_out: Plan, suites: Sequence[Suite]) -> None:
    """Raise HarnessError for gates that no finalist can PASS, so few items are held out."""
    gates = [gate.model_copy(update={"alpha": gate.alpha / len(SAFER)}) for gate in held_out.gates]
    found = outlook(held_out.model_copy(update={"gates": gates}), suites)
    faults = [
        f"gate {one.name}: {one.items} items are held out, and a PASS takes {one.smallest}: alpha is shared by"
        f" {len(SAFER)} finalists"
        for one in found
        if one.hopeless and one.gate.severity == "block"
    ]
    if faults:
        raise HarnessError("\n".join(f"plan {held_out.name}: {fault}" for fault in faults))
