"""What is still to be asked of some models -> errands; what comes back -> the store, which only this process writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

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

Part = TypeVar("Part")
PROMPTS, DOCUMENTS = 16, 50
"""Of one errand, unless there are very many: what is lost with a node."""
PARTS = 100
"""Of a suite or benchmark on one model at most: each is written here by itself, and this process has to keep up."""


def spread(executor: Executor, subjects: Sequence[Subject], context: Context) -> None:
    """Ask the plan's suites and benchmarks of these models, and finish their stages.

    What cannot be done there is left to be asked here. Models that are served are left out: they are asked many
    requests at a time from here.
    """
    own = [subject for subject in subjects if not subject.served]
    suites = [_Suite(subject, suite, context) for subject in own for suite in context.suites]
    errands = [errand for suite in suites for errand in suite.errands()]
    errands += [errand for benchmark in context.plan.benchmarks for errand in _benchmarks(own, benchmark, context)]
    executor.run(errands, context.progress)
    for suite in suites:
        suite.finish()


def parts(wanted: Sequence[Part], least: int) -> Iterator[Sequence[Part]]:
    """What is wanted, cut into pieces of `least`, or larger ones if those would be too many."""
    size = max(least, -(-len(wanted) // PARTS))
    for start in range(0, len(wanted), size):
        yield wanted[start : start + size]


class _Suite:
    """One suite on one model."""

    def __init__(self, subject: Subject, suite: Suite, context: Context) -> None:
        self.subject, self.suite, self.context = subject, suite, context
        self.stages = suite_stages(subject, suite, context)
        self.facts: dict[str, str] | None = None
        """What readers of its answers should know; None: nothing was answered."""

    def errands(self) -> Iterator[Errand]:
        """Some prompts each."""
        prompts, _ = left(self.suite, self.suite.cases, self.stages, self.context.store)
        for some in parts(prompts, PROMPTS):
            yield Errand(self.subject.spec, self.subject.fingerprint, Ask(tuple(some), self.suite.needs), self._keep)

    def _keep(self, result: tuple[list[Answer], dict[str, str]]) -> Sequence[Errand]:
        answers, self.facts = result
        keep(answers, self.stages, self.context.store)
        return ()

    def finish(self) -> None:
        """Finish those of its stages that are whole."""
        if self.facts is None:
            return
        prompts, _ = left(self.suite, self.suite.cases, self.stages, self.context.store)
        missing = {prompt.repeat for prompt in prompts}
        for repeat, stage in enumerate(self.stages):
            if not stage.finished and repeat not in missing:
                self.context.store.finish_stage(stage.id, facts=facts_of(self.suite, self.facts))


def _benchmarks(subjects: Sequence[Subject], benchmark: Benchmark, context: Context) -> Iterator[Errand]:
    """Parts of a benchmark on every model that has not finished it, if it can be asked in parts; else all of it."""
    stages = [(subject, benchmark_stage(subject, benchmark, context)) for subject in subjects]
    waiting = [(subject, stage) for subject, stage in stages if not stage.finished]
    # Known once for all models: to tell takes building the task.
    documents = (drawable(benchmark, context.data_root) if waiting else None) or ()
    cut = [
        (f"documents {some[0]} to {some[-1]}", benchmark.model_copy(update={"documents": tuple(some), "limit": None}))
        for some in parts(documents, DOCUMENTS)
    ]
    for subject, stage in waiting:
        yield from _Benchmark(subject, benchmark, stage, context).errands(cut)


@dataclass
class _Benchmark:
    """One benchmark on one model: scores of its parts, then all of it by these."""

    subject: Subject
    benchmark: Benchmark
    stage: Stage
    context: Context
    left: int = 0
    """Parts whose scores are not there yet."""

    def errands(self, cut: Sequence[tuple[str, Benchmark]]) -> Sequence[Errand]:
        """cut: the parts, with the mark by which each is known in the store, beside the scores, as done."""
        known = self.context.store.scores(self.stage.id)
        wanted = [(mark, part) for mark, part in cut if mark not in known]
        self.left = len(wanted)
        return [self._scored(mark, part) for mark, part in wanted] or [self._whole()]

    def _scored(self, mark: str, part: Benchmark) -> Errand:
        def keep_scores(scores: Scores) -> Sequence[Errand]:
            self.context.store.add_scores(self.stage.id, scores | {mark: (0.0, True)})
            self.left -= 1
            return () if self.left else (self._whole(),)

        return Errand(self.subject.spec, self.subject.fingerprint, Score(part, self.context.data_root), keep_scores)

    def _whole(self) -> Errand:
        def keep_result(result: BenchmarkResult) -> Sequence[Errand]:
            self.context.store.finish_stage(self.stage.id, result.measurements, result.facts)
            return ()

        task = Measure(self.benchmark, self.context.data_root, self.context.store.scores(self.stage.id))
        return Errand(self.subject.spec, self.subject.fingerprint, task, keep_result)
