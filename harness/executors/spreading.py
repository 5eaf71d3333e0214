"""What is still to be asked of some models -> errands; what comes back -> the store, which only this process writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.asking import facts_of, keep, left, suite_stages
from harness.benchmarks import drawable
from harness.executors.errands import Ask, Errand, Measure, Score
from harness.measuring import Context, benchmark_stage
from harness.records import Answer

if TYPE_CHECKING:
    from harness.benchmarks import BenchmarkResult
    from harness.executors import Executor
    from harness.executors.errands import Scores
    from harness.models.subject import Subject
    from harness.plan import Benchmark
    from harness.stores import Stage
    from suites import Suite

PROMPTS, DOCUMENTS = 16, 50
"""Of one errand at most: what is lost with a node."""


def spread(executor: Executor, subjects: Sequence[Subject], context: Context) -> None:
    """Ask the plan's suites and benchmarks of these models, and finish their stages.

    What cannot be done there is left to be asked here. Models at endpoints are left out: they are asked many requests
    at a time from here.
    """
    own = [subject for subject in subjects if subject.spec.endpoint is None]
    suites = [_Suite(subject, suite, context) for subject in own for suite in context.suites]
    asked = [(subject, benchmark) for benchmark in context.plan.benchmarks for subject in own]
    first = [errand for suite in suites for errand in suite.errands()]
    first += [errand for benchmark in context.plan.benchmarks for errand in _scores(own, benchmark, context)]
    executor.run(first, context.progress)
    for suite in suites:
        suite.finish()
    executor.run([errand for pair in asked for errand in _whole(*pair, context)], context.progress)


class _Suite:
    """One suite on one model."""

    def __init__(self, subject: Subject, suite: Suite, context: Context) -> None:
        self.subject, self.suite, self.context = subject, suite, context
        self.stages = suite_stages(subject, suite, context)
        self.facts: dict[str, str] | None = None
        """What readers of its answers should know; None: nothing was answered."""

    def errands(self) -> Iterator[Errand]:
        """A few prompts each."""
        prompts, _ = left(self.suite, self.suite.cases, self.stages, self.context.store)
        for start in range(0, len(prompts), PROMPTS):
            some = tuple(prompts[start : start + PROMPTS])
            yield Errand(self.subject.spec, self.subject.fingerprint, Ask(some, self.suite.needs), self._keep)

    def _keep(self, result: tuple[list[Answer], dict[str, str]]) -> None:
        answers, self.facts = result
        keep(answers, self.stages, self.context.store)

    def finish(self) -> None:
        """Finish those of its stages that are whole."""
        if self.facts is None:
            return
        prompts, _ = left(self.suite, self.suite.cases, self.stages, self.context.store)
        missing = {prompt.repeat for prompt in prompts}
        for repeat, stage in enumerate(self.stages):
            if not stage.finished and repeat not in missing:
                self.context.store.finish_stage(stage.id, facts=facts_of(self.suite, self.facts))


def _scores(subjects: Sequence[Subject], benchmark: Benchmark, context: Context) -> Iterator[Errand]:
    """A few documents each, of a benchmark that can be asked so; what is done is marked beside the scores."""
    stages = [(subject, benchmark_stage(subject, benchmark, context)) for subject in subjects]
    waiting = [(subject, stage) for subject, stage in stages if not stage.finished]
    # Known once for all models: to tell takes building the task.
    documents = drawable(benchmark, context.data_root) if waiting else None
    for subject, stage in waiting if documents else ():
        yield from _parts(subject, stage, (benchmark, documents or ()), context)


def _parts(
    subject: Subject, stage: Stage, asked: tuple[Benchmark, Sequence[int]], context: Context
) -> Iterator[Errand]:
    """asked: a benchmark, and the numbers of its documents."""
    benchmark, documents = asked
    known = context.store.scores(stage.id)
    for start in range(0, len(documents), DOCUMENTS):
        some = tuple(documents[start : start + DOCUMENTS])
        mark = f"documents {some[0]} to {some[-1]}"
        if mark in known:
            continue

        def keep_scores(scores: Scores, mark: str = mark) -> None:
            context.store.add_scores(stage.id, scores | {mark: (0.0, True)})

        part = benchmark.model_copy(update={"documents": some, "limit": None})
        yield Errand(subject.spec, subject.fingerprint, Score(part, context.data_root), keep_scores)


def _whole(subject: Subject, benchmark: Benchmark, context: Context) -> Iterator[Errand]:
    """A benchmark that is not finished, with the scores that there are of it."""
    stage = benchmark_stage(subject, benchmark, context)
    if stage.finished:
        return

    def keep_result(result: BenchmarkResult) -> None:
        context.store.finish_stage(stage.id, result.measurements, result.facts)

    task = Measure(benchmark, context.data_root, context.store.scores(stage.id))
    yield Errand(subject.spec, subject.fingerprint, task, keep_result)
