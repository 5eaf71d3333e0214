"""What is still to be made and asked -> errands; what comes back -> the store, which only this process writes.

A candidate that is made brings what is to be asked of it; an original's pass over a corpus, the candidates beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from compress import CompressError
from harness.asking import facts_of, keep, left, suite_stages
from harness.benchmarks import drawable
from harness.candidates.subjects import candidate_subject, made_spec
from harness.errors import HarnessError
from harness.executors.comparing import Fidelity
from harness.executors.errands import Ask, Errand, Make, Measure, Score
from harness.fidelity.corpus import load_corpora
from harness.measuring import Context, benchmark_stage
from harness.models.subject import Subject
from harness.records import Answer

if TYPE_CHECKING:
    from harness.benchmarks import BenchmarkResult
    from harness.candidates.workshop import Workshop
    from harness.executors import Executor
    from harness.executors.errands import Scores
    from harness.plan import Benchmark
    from harness.stores import Stage
    from suites import Suite

Part = TypeVar("Part")
PROMPTS, DOCUMENTS = 16, 50
"""Of one errand, unless there are very many: what is lost with a node."""
PARTS = 100
"""Of a suite or benchmark on one model at most: each is written here by itself, and this process has to keep up."""


def spread(executor: Executor, original: Subject, workshop: Workshop, context: Context) -> dict[str, Subject]:
    """Make the plan's candidates, ask suites and benchmarks of all models, measure fidelity; finish their stages.

    Returns the candidates that there are then, by name. What cannot be done there is left to be done here; what is
    wrong with a candidate is met again, and told, at its turn. Models that are served are left out: they are asked many
    requests at a time from here.
    """
    work = _Work(original, workshop, context)
    executor.run(work.errands(), context.progress)
    for suite in work.suites:
        suite.finish()
    return work.candidates


class _Work:
    """All of one plan."""

    def __init__(self, original: Subject, workshop: Workshop, context: Context) -> None:
        self.original, self.workshop, self.context, self.plan = original, workshop, context, context.plan
        self.candidates: dict[str, Subject] = {}
        self.suites: list[_Suite] = []
        self.fidelity: list[Fidelity] = []
        with suppress(HarnessError):
            corpora = load_corpora(self.plan.fidelity, self.plan.half) if self.plan.fidelity else ()
            self.fidelity += [Fidelity(original, corpus, context) for corpus in corpora]
        self._begun: set[str] = set()
        """Stages whose errands are out: two models may be one."""
        # Known once for all models: to tell takes building the task.
        self._cut = cache(self._parted)

    def errands(self) -> list[Errand]:
        """To begin with: candidates come first, for much comes of them."""
        groups = self.workshop.missing()
        absent = {name for group in groups for name in group}
        there = [errand for name in self.plan.candidates if name not in absent for errand in self._there(name)]
        made = [self._made(group) for group in groups]
        passes = [one.of_original() for one in self.fidelity if groups or one.waiting]
        return [*made, *passes, *self._asked(self.original), *there]

    def _made(self, names: Sequence[str]) -> Errand:
        """Some candidates, and then all that is to be asked of them."""
        recipes = {name: self.workshop.recipes[name] for name in names}
        specs = [made_spec(name, self.plan, self.workshop.place(name)) for name in names]
        learns = any(recipe.recovery is not None for recipe in recipes.values())
        observations = tuple(self.workshop.observations()) if learns else ()

        def keep_candidates(fingerprints: list[str]) -> Sequence[Errand]:
            for spec, fingerprint in zip(specs, fingerprints, strict=True):
                self.candidates[spec.name] = Subject(spec, self.context.progress, fingerprint=fingerprint)
            return [errand for name in names for errand in self._judged(self.candidates[name])]

        task = Make(self.workshop.folder, recipes, specs, observations)
        return Errand(self.original.spec, self.original.fingerprint, task, keep_candidates, copies=2)

    def _there(self, name: str) -> Iterator[Errand]:
        """All that is to be asked of a candidate that need not be made."""
        with suppress(HarnessError, CompressError, OSError):
            self.candidates[name] = candidate_subject(name, self.plan, self.workshop, self.context.progress)
        if name in self.candidates:
            yield from self._judged(self.candidates[name])

    def _judged(self, candidate: Subject) -> Iterator[Errand]:
        yield from self._asked(candidate)
        for one in self.fidelity if candidate.spec.endpoint is None else ():
            stage = one.stage(candidate)
            if not stage.finished and self._begins(stage):
                yield from one.of_candidate(candidate, stage)

    def _asked(self, model: Subject) -> Iterator[Errand]:
        """Suites and benchmarks."""
        if model.served:
            return
        for suite in self.context.suites:
            one = _Suite(model, suite, self.context)
            if self._begins(one.stages[0]):
                self.suites.append(one)
                yield from one.errands()
        for benchmark in self.plan.benchmarks:
            stage = benchmark_stage(model, benchmark, self.context)
            if not stage.finished and self._begins(stage):
                yield from _Benchmark(model, benchmark, stage, self.context).errands(self._cut(benchmark))

    def _begins(self, stage: Stage) -> bool:
        """Whether nobody was sent for it yet."""
        is_new = stage.id not in self._begun
        self._begun.add(stage.id)
        return is_new

    def _parted(self, benchmark: Benchmark) -> Sequence[tuple[str, Benchmark]]:
        """Its parts, if it can be asked in parts."""
        return [
            (
                f"documents {some[0]} to {some[-1]}",
                benchmark.model_copy(update={"documents": tuple(some), "limit": None}),
            )
            for some in parts(drawable(benchmark, self.context.data_root) or (), DOCUMENTS)
        ]


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
