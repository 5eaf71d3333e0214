"""Ask in growing looks, both models the same, and stop once the gates on a suite or a benchmark are decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.asking import asked
from harness.benchmarks import drawable
from harness.drawing import drawing_order, set_fact
from harness.measuring import Context, Drawn, PairStages, benchmarked
from harness.models.subject import Subject
from harness.plan import Benchmark
from harness.records import DRAWN, Run
from harness.statistics.sequential import look_sizes
from harness.verdicts.compare import compare
from harness.verdicts.gate import settled
from suites import Suite

Stages = tuple[tuple[str, ...], tuple[str, ...]]
"""Ids of the original's and of the candidate's stages."""


@dataclass(frozen=True)
class Source:
    """A suite or a benchmark, asked a few items at a time where it can be."""

    name: str
    total: int
    """Items, or 1 where it can only be asked as a whole."""
    ask: Callable[[Subject, int], tuple[str, ...]]
    """Ask a model the first so many items in the order of drawing, and return the ids of the stages."""
    suites: Sequence[Suite] = ()
    fact: str = ""
    """The set of documents, as a stage has it; empty: not drawn from a set."""


def measured_in_looks(before: Subject, after: Subject, context: Context) -> PairStages:
    """Suites and benchmarks on both models, each only as far as its gates need."""
    stages = [looked(source, before, after, context) for source in sources(context)]
    return PairStages(*(tuple(one for both in stages for one in both[side]) for side in (0, 1)))


def sources(context: Context) -> list[Source]:
    """All that the plan asks of one model at a time."""
    suites = [_suite(suite, context) for suite in context.suites]
    return [*suites, *(_benchmark(benchmark, context) for benchmark in context.plan.benchmarks)]


def _suite(suite: Suite, context: Context) -> Source:
    cases = {case.id: case for case in suite.cases}
    order = drawing_order(cases)

    def ask(subject: Subject, size: int) -> tuple[str, ...]:
        return asked(subject, suite, [cases[name] for name in order[:size]], context)

    return Source(suite.name, len(cases), ask, (suite,), str(len(cases)))


def _benchmark(benchmark: Benchmark, context: Context) -> Source:
    whole = drawable(benchmark, context.data_root)
    if whole is None:
        return Source(benchmark.task, 1, lambda subject, _: (benchmarked(subject, benchmark, context),))
    order = tuple(int(name) for name in drawing_order(map(str, whole)))

    def ask(subject: Subject, size: int) -> tuple[str, ...]:
        return (benchmarked(subject, benchmark, context, Drawn(order[:size], whole)),)

    return Source(benchmark.task, len(whole), ask, fact=set_fact(whole))


def looked(source: Source, before: Subject, after: Subject, context: Context, every: int = 1) -> Stages:
    """Ids of the stages of the last look. A source without a gate is asked whole.

    every: 2 asks as much at once as two looks need, which is cheaper and stops later.
    """
    gated = any(gate.metric.startswith(f"{source.name}.") for gate in context.plan.gates)
    for size in look_sizes(source.total)[::-every][::-1] if gated else [source.total]:
        stages = source.ask(before, size), source.ask(after, size)
        if size < source.total and _settled(source, (before, after), stages, context):
            break
    return stages


def _settled(source: Source, models: tuple[Subject, Subject], stages: Stages, context: Context) -> bool:
    """Whether what was asked so far decides every gate on the source."""
    first, second = (_run(source, *one, context) for one in zip(models, stages, strict=True))
    gates = context.plan.gates
    own = [gate for gate in gates if gate.metric.startswith(f"{source.name}.")]
    family = sum(gate.severity == "block" for gate in gates)
    return settled(compare(first, second, source.suites, in_looks=True), own, family)


def _run(source: Source, model: Subject, stages: tuple[str, ...], context: Context) -> Run:
    """What a model has said to the source so far."""
    answers = tuple(answer for stage in stages for answer in context.store.answers(stage))
    return Run(
        id=stages[0],
        model=model.spec,
        fingerprint=model.fingerprint,
        answers={suite.name: answers for suite in source.suites},
        measurements={one.metric: one for stage in stages for one in context.store.measurements(stage)},
        facts={f"{source.name}: {DRAWN}": source.fact} if source.fact else {},
        price=context.plan.price.value if context.plan.price else None,
    )
