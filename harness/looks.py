"""Ask in growing looks, both models the same, and stop once the gates on a suite or a benchmark are decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.asking import asked
from harness.benchmarks import drawable
from harness.drawing import drawing_order
from harness.measuring import Context, Drawn, PairStages, benchmarked
from harness.models.subject import Subject
from harness.plan import Benchmark
from harness.records import DRAWN, Run
from harness.statistics.sequential import look_sizes
from harness.verdicts.compare import compare
from harness.verdicts.gate import settled
from suites import Suite


@dataclass(frozen=True)
class _Source:
    """A suite or a benchmark that can be asked a few items at a time."""

    name: str
    total: int
    ask: Callable[[Subject, int], str]
    """Ask a model the first so many items in the order of drawing, and return the id of the stage."""
    suites: Sequence[Suite] = ()


def measured_in_looks(before: Subject, after: Subject, context: Context) -> PairStages:
    """Suites and benchmarks on both models, each only as far as its gates need."""
    stages = [_looked(_suite(suite, context), before, after, context) for suite in context.suites]
    for benchmark in context.plan.benchmarks:
        total = drawable(benchmark, context.data_root)
        if total is None:
            stages.append((benchmarked(before, benchmark, context), benchmarked(after, benchmark, context)))
        else:
            stages.append(_looked(_benchmark(benchmark, total, context), before, after, context))
    return PairStages(tuple(first for first, _ in stages), tuple(second for _, second in stages))


def _suite(suite: Suite, context: Context) -> _Source:
    cases = {case.id: case for case in suite.cases}
    order = drawing_order(cases)

    def ask(subject: Subject, size: int) -> str:
        return asked(subject, suite, [cases[name] for name in order[:size]], context)

    return _Source(suite.name, len(cases), ask, (suite,))


def _benchmark(benchmark: Benchmark, total: int, context: Context) -> _Source:
    order = tuple(int(name) for name in drawing_order(map(str, range(total))))

    def ask(subject: Subject, size: int) -> str:
        return benchmarked(subject, benchmark, context, Drawn(order[:size], total))

    return _Source(benchmark.task, total, ask)


def _looked(source: _Source, before: Subject, after: Subject, context: Context) -> tuple[str, str]:
    """Ids of the stages of the last look. A source without a gate is asked whole."""
    gated = any(gate.metric.startswith(f"{source.name}.") for gate in context.plan.gates)
    for size in look_sizes(source.total) if gated else [source.total]:
        stages = source.ask(before, size), source.ask(after, size)
        if size < source.total and _settled(source, (before, after), stages, context):
            break
    return stages


def _settled(source: _Source, models: tuple[Subject, Subject], stages: tuple[str, str], context: Context) -> bool:
    """Whether what was asked so far decides every gate on the source."""
    first, second = (_run(source, *one, context) for one in zip(models, stages, strict=True))
    gates = context.plan.gates
    own = [gate for gate in gates if gate.metric.startswith(f"{source.name}.")]
    family = sum(gate.severity == "block" for gate in gates)
    return settled(compare(first, second, source.suites, in_looks=True), own, family)


def _run(source: _Source, model: Subject, stage: str, context: Context) -> Run:
    """What a model has said to the source so far."""
    answers = tuple(context.store.answers(stage))
    return Run(
        id=stage,
        model=model.spec,
        fingerprint=model.fingerprint,
        answers={suite.name: answers for suite in source.suites},
        measurements={one.metric: one for one in context.store.measurements(stage)},
        facts={f"{source.name}: {DRAWN}": str(source.total)},
    )
