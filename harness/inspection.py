"""Before anything is loaded: is the plan right, and can its gates decide anything?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import suites as suite_files
from compress import CompressError
from compress.recipe import Recipe
from compress.training.sources import check as check_data
from harness import metrics
from harness.candidates.halves import halves, learned_sources, learned_suites, learning_faults
from harness.candidates.making import recipe_of
from harness.endpoints import NOT_STOCK
from harness.errors import HarnessError
from harness.estimate import estimated_seconds
from harness.gate_faults import gate_faults
from harness.metering import meter_faults
from harness.models.opening import refuse_missing
from harness.outlook import documents_of, outlook
from harness.plan import Plan, allowance
from harness.plan_models import Candidate, Model, spec
from harness.records import ORIGINAL
from suites import Suite
from suites.advice import KINDS
from suites.document import suggestion
from suites.errors import SuiteError
from suites.repeating import settled


def loaded_suites(plan: Plan) -> list[Suite]:
    """The suites of a plan as they are asked, without the cases that its candidates learn from.

    Raises HarnessError with the faults of every suite file at once.
    """
    learned = learned_sources(plan.candidates.values())
    found: list[Suite] = []
    faults: list[str] = []
    for source in plan.suites:
        try:
            suite = suite_files.load(source, allowance(plan))
            parted = halves(suite)
            if plan.half == "searched":
                suite = parted.searched
            elif plan.half == "held_out" or source in learned:
                suite = parted.held_out
            sampling = plan.sampling.value if plan.sampling else None
            found.append(settled(suite, sampling, plan.repeat.value if plan.repeat else None))
        except SuiteError as error:
            faults.append(str(error))
    names = [suite.name for suite in found]
    faults += [f"two suites are named {name}; rename one" for name in sorted({n for n in names if names.count(n) > 1})]
    if faults:
        raise HarnessError("\n".join(faults))
    return found


def refuse_impossible(plan: Plan, suites: Sequence[Suite]) -> None:
    """Raise HarnessError for every recipe, metric, gate, corpus or data folder that cannot be right, all at once."""
    faults = [fault for gate in plan.gates for fault in gate_faults(gate, plan, suites)]
    faults += [_unknown("metric", name, metrics.names()) for name in plan.metrics if name not in metrics.names()]
    for name, candidate in plan.candidates.items():
        if candidate.recipe is not None:
            faults += [f"candidates.{name}: {fault}" for fault in _recipe_faults(recipe_of(candidate.recipe))]
            if why := plan.original.not_cut:
                faults.append(f"candidates.{name}: a recipe cuts float weights in one place; of the original, {why}")
            if plan.original.endpoint:
                faults.append(f"candidates.{name}: a recipe needs the original's weights; an endpoint has none")
        else:
            faults += _source_faults(name, candidate)
    faults += [
        *_source_faults(ORIGINAL, plan.original),
        *_endpoint_faults(plan),
        *_engine_faults(plan),
        *_advice_faults(plan, suites),
    ]
    for path in plan.fidelity.corpora.values() if plan.fidelity else ():
        if path != "builtin" and not Path(path).is_file():
            faults.append(f"fidelity.corpus: no file {path}")
    if plan.data_root and not (Path(plan.data_root) / "index.json").is_file():
        faults.append(f"data_root: no index.json in {plan.data_root}")
    faults += [*meter_faults(plan, suites), *learning_faults(plan, suites)]
    if plan.noise and plan.sequential:
        faults.append("noise: true asks the original twice, --sequential no more than needed; leave one out")
    if plan.baselines and plan.sequential:
        faults.append(f"--sequential asks only what the original's gates need; leave out {', '.join(plan.baselines)}")
    if faults:
        raise HarnessError("\n".join(f"plan {plan.name}: {fault}" for fault in faults))


def _recipe_faults(recipe: Recipe) -> list[str]:
    """What is wrong with the files that it reads."""
    missing = [f"no file {path}" for path in recipe.files if not path.is_file()]
    if missing or recipe.recovery is None:
        return missing
    try:
        check_data(recipe.recovery.data)
    except CompressError as error:
        return [str(error)]
    return []


def _source_faults(name: str, model: Model | Candidate) -> list[str]:
    try:
        refuse_missing(spec(name, model))
    except HarnessError as error:
        return [f"{name}: {error}"]
    return []


def _advice_faults(plan: Plan, suites: Sequence[Suite]) -> list[str]:
    faults = _source_faults("judge", plan.judge) if plan.judge else []
    if plan.embeddings:
        faults += _source_faults("embeddings", Model(model=plan.embeddings.model))
    asking = [suite.name for suite in suites if suite.needs & {*KINDS, "divergences"}]
    if asking and plan.sequential:
        faults.append(f"{', '.join(asking)}: judges, embeddings and kl-max come last, not in looks; not --sequential")
    return faults


def _engine_faults(plan: Plan) -> list[str]:
    """What an engine of its own cannot do, as far as it is known before a model is made."""
    models: dict[str, Candidate | Model] = {ORIGINAL: plan.original, **plan.candidates}
    engines = {name: model for name, model in models.items() if model.engine == "vllm"}
    faults = [
        f"candidates.{name}: engine vllm: {NOT_STOCK}"
        for name, model in engines.items()
        if isinstance(model, Candidate) and model.recipe is not None and not _stock(recipe_of(model.recipe))
    ]
    if engines and plan.sequential:
        faults.append(
            f"engine vllm ({', '.join(engines)}): --sequential would start its server at every look; not both"
        )
    return faults


def _stock(recipe: Recipe) -> bool:
    """Whether a stock class reads what it makes."""
    return recipe.compensate != "bias" and (recipe.equal_layers or recipe.chosen().removes != "width")


def _endpoint_faults(plan: Plan) -> list[str]:
    """What a plan asks that takes more than answers, where a model is served at an endpoint."""
    models: dict[str, Candidate | Model] = {ORIGINAL: plan.original, **plan.candidates}
    who = ", ".join(name for name, model in models.items() if model.endpoint)
    served = ", ".join(name for name, model in models.items() if model.served)
    by_token = {"cost"} if plan.price and plan.price.per_hour is None else set()
    meters = [f"metrics.{name}" for name in plan.metrics if name not in by_token]
    of_weights = [*(["fidelity"] if plan.fidelity else []), *meters]
    faults = []
    if who and of_weights:
        faults.append(f"{', '.join(of_weights)}: needs weights, and {who} is an endpoint; give it a plan without these")
    faults += [
        f"benchmarks.{benchmark.task}: apply_chat_template: {served} is served, and its template is not known here"
        for benchmark in plan.benchmarks
        if served and benchmark.apply_chat_template
    ]
    return faults


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    return f"unknown {kind} {name!r}{suggestion(name, known)}; there are {', '.join(known)}"


def not_checked(suites: Sequence[Suite]) -> tuple[str, ...]:
    """A line for every suite of which something is not checked, or less is asked than wanted."""
    unchecked = [f"{suite.name}: not checked: {suite.not_checked}" for suite in suites if suite.not_checked]
    once = [
        f"{suite.name}: {suite.unrepeated} cases are asked once, not again: greedy answers are the same every time; "
        "give sampling"
        for suite in suites
        if suite.unrepeated
    ]
    return (*unchecked, *once)


def _repeated(suite: Suite) -> str:
    """How many answers that makes, if more."""
    answers = sum(case.tries for case in suite.cases)
    return f", {answers} answers" if answers > len(suite.cases) else ""


def inspected(plan: Plan) -> list[str]:
    """What `secateur check` says of a plan. Raises HarnessError for what is wrong."""
    suites = loaded_suites(plan)
    refuse_impossible(plan, suites)
    lines = [f"plan {plan.name}: {plan.original.model} against {', '.join(plan.candidates) or 'what a search finds'}"]
    lines += [f"suite {suite.name}: {len(suite.cases)} cases{_repeated(suite)}" for suite in suites]
    lines += [f"learned from: {parted.line()}" for parted in learned_suites(plan).values()]
    lines += not_checked(suites)
    counts = {benchmark.task: documents_of(benchmark.task, plan) for benchmark in plan.benchmarks}
    lines += [f"benchmark {task}: {'unknown' if n is None else n} documents" for task, n in counts.items()]
    if plan.fidelity:
        names = ", ".join(plan.fidelity.corpora.values())
        lines.append(f"fidelity: at most {plan.fidelity.tokens} tokens of {names}")
    if plan.promptlayer:
        lines.append(f"promptlayer: {plan.promptlayer.line(plan.promptlayer.api_key_env)}")
    if plan.otlp:
        lines.append(f"otlp: {plan.otlp.line(plan.otlp.endpoint_env)}")
    seconds = estimated_seconds(plan, suites, sum(n or 0 for n in counts.values()))
    if seconds is not None:
        lines.append(f"time: very roughly {max(seconds / 60, 1):.0f} min on this machine, loading and meters on top")
    return [*lines, *(f"gate {one.line()}" for one in outlook(plan, suites))]
