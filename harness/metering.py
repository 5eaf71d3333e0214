"""The meters of a plan: read on both models in every job, priced, and what can be seen to be wrong with them before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness import metrics
from harness.asking import stored_answers
from harness.candidates.making import recipe_of
from harness.digest import digest
from harness.meters import NotMeasuredError, meters
from harness.metrics.cost import charged
from harness.models.placement import found_device
from harness.models.subject import Subject
from harness.plan import Plan
from harness.progress import named
from harness.records import SIMULATED, SPARSE, Price
from suites import Suite

if TYPE_CHECKING:
    from harness.measuring import Context
    from harness.models.opening import LoadedModel

UNMEASURED = "not measured"
"""The fact of a stage that says why it has no measurement."""


def metered(before: Subject, after: Subject, context: Context) -> Iterator[tuple[str, str]]:
    """Stages of both models, a pair for every meter."""
    price = context.plan.price.value if context.plan.price else Price()
    for name in context.plan.metrics:
        if name != "cost" or price.per_hour is not None:
            yield _metered(name, before, after, context)
    if "cost" in context.plan.metrics and price.of_tokens:
        yield _charged(before, price, context), _charged(after, price, context)


def _metered(name: str, before: Subject, after: Subject, context: Context) -> tuple[str, str]:
    """Meters are read again in every job: a reading says something of the machine as it is now."""
    store = context.store
    key = digest("metric", name, context.job.id, before.fingerprint, after.fingerprint)
    first = store.begin_stage(before.fingerprint, f"before/{key}", "metric", name)
    second = store.begin_stage(after.fingerprint, f"after/{key}", "metric", name)
    if first.finished and second.finished:
        return first.id, second.id
    progress = named(context.progress, f"{after.spec.name}: {name}")
    metric = metrics.made(name, context.plan.price.value if context.plan.price else None)
    old, new = before.loaded(), after.loaded()
    try:
        pairs = metric.measure(old, new, progress)
    except NotMeasuredError as error:
        for stage in (first, second):
            store.finish_stage(stage.id, facts={UNMEASURED: str(error)})
    else:
        work = {first.id: [one for one, _ in pairs if one], second.id: [other for _, other in pairs]}
        store.finish_stages(work, {first.id: _of_zeros(old), second.id: _of_zeros(new)})
    return first.id, second.id


def _of_zeros(loaded: LoadedModel) -> dict[str, str]:
    """What a reader of its readings should know: whether anything skipped a pruned model's zeros."""
    return {name: loaded.facts[name] for name in (SPARSE, SIMULATED) if name in loaded.facts}


def _charged(subject: Subject, price: Price, context: Context) -> str:
    """What a model's answers to all suites cost by their tokens."""
    answers = {suite.name: stored_answers(subject, suite, context) for suite in context.suites}
    key = digest("charged", context.job.id, subject.spec.name)
    stage = context.store.begin_stage(subject.fingerprint, key, "metric", "cost")
    if not stage.finished:
        context.store.finish_stage(stage.id, [charged(price, context.suites, answers)])
    return stage.id


def provided(name: str, plan: Plan) -> tuple[str, ...]:
    """What a meter measures under this plan, without its own name."""
    of_tokens = ("answer",)
    price = plan.price.value if plan.price else Price()
    known = metrics.load(name).provides
    if name != "cost":
        return known
    return tuple(one for one in known if (price.of_tokens if one in of_tokens else price.per_hour is not None))


def meter_faults(plan: Plan, suites: Sequence[Suite]) -> Iterator[str]:
    """What is missing for the plan's meters, and for its gates on them."""
    if "cost" in plan.metrics and plan.price is None:
        yield "metrics.cost: what does it cost? give price: {per_hour: 1.2}, or per_million_output_tokens"
    if plan.price is not None and "cost" not in plan.metrics and not any("cost" in suite.needs for suite in suites):
        yield "price: nothing counts by it; give metrics: [cost], or an assertion of type cost"
    if plan.price is not None and plan.price.value.of_tokens and not suites:
        yield "price: tokens are counted of answers to suites, and this plan has none"
    gated = {gate.metric.partition(".")[0] for gate in plan.gates} & {*plan.metrics}
    if "training" in gated:
        for name, candidate in plan.candidates.items():
            if candidate.recipe is not None and recipe_of(candidate.recipe).recovery is None:
                yield f"gate on training: candidate {name} is not trained, its recipe recovers nothing"
    if "energy" in gated:
        try:
            meters(accelerator=found_device() == "cuda")
        except NotMeasuredError as error:
            yield f"gate on energy: {error}"
