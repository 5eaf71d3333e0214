"""Errands: parts of what is still to be asked of a model, small enough to be lost and done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import HarnessError
from harness.progress import silent
from harness.records import Answer, Measurement, ModelSpec

if TYPE_CHECKING:
    from compress import Recipe
    from compress.training.performance import Observation
    from harness.answering.generation import Prompt
    from harness.benchmarks.tasks import BuiltTasks
    from harness.fidelity.corpus import Corpus
    from harness.fidelity.measure import FidelityResult
    from harness.models.opening import LoadedModel
    from harness.models.subject import Subject
    from harness.plan import Benchmark

Scores = dict[str, tuple[float, bool]]
"""Hash of a request -> (log-likelihood, greedy)."""


class Task(Protocol):
    """What is to be done with an open model; it travels as it is, and so does what it gives."""

    def done(self, loaded: LoadedModel) -> Any: ...


@dataclass(frozen=True)
class Errand:
    """One task, with the model that it is for and what becomes of its result."""

    spec: ModelSpec
    fingerprint: str
    """Of the model here; there it has to be the same."""
    task: Task
    keep: Callable[[Any], Sequence[Errand]]
    """Stays here. What it returns comes of the result and is still to be done."""
    copies: int = 1
    """How often the weights are there at once; more than once they are only on one device."""


@dataclass(frozen=True)
class Make:
    """Some candidates of the original that is open, each into its place, which all nodes see."""

    folder: Path
    """Of all candidates."""
    recipes: Mapping[str, Recipe]
    specs: Sequence[ModelSpec]
    """How each of them will be opened."""
    observations: Sequence[Observation]

    def done(self, loaded: LoadedModel) -> list[str]:
        """Their fingerprints."""
        from harness.candidates.workshop import Workshop
        from harness.models.opening import fingerprint_of

        workshop = Workshop(_subject(loaded), self.folder, self.recipes, silent, lambda: self.observations)
        for name in self.recipes:
            workshop.made(name)
        return [fingerprint_of(spec) for spec in self.specs]


@dataclass(frozen=True)
class Refer:
    """The original's pass over a corpus, kept in a folder that all nodes see."""

    corpus: Corpus
    folder: Path

    def done(self, loaded: LoadedModel) -> tuple[Path, Measurement, int]:
        """Where it is, the original's perplexity, and how many documents it took."""
        from harness.fidelity.corpus import windows
        from harness.fidelity.measure import original_perplexity, reference

        path = reference(_subject(loaded), self.corpus, self.folder)
        last = windows(self.corpus, loaded.tokenizer)[-1]
        return path, original_perplexity(path, self.corpus), last.document + 1


@dataclass(frozen=True)
class Compare:
    """A candidate beside its original's pass over a corpus."""

    reference: Path
    corpus: Corpus

    def done(self, loaded: LoadedModel) -> FidelityResult | HarnessError:
        """How true it is, or why that has no number."""
        from harness.fidelity.measure import compared

        return compared(self.reference, loaded, self.corpus)


@dataclass(frozen=True)
class Ask:
    """Some prompts of a suite."""

    prompts: Sequence[Prompt]
    needs: frozenset[str]
    """Of the suite's assertions."""

    def done(self, loaded: LoadedModel) -> tuple[list[Answer], dict[str, str]]:
        """The answers, and what a reader of them should know."""
        from harness.asking import answered_here

        found: list[Answer] = []
        facts = answered_here(loaded, self.needs, self.prompts, found.extend)
        return found, facts


@dataclass
class _Memory:
    """Scores that are known, and those that come."""

    scores: Scores
    new: Scores = field(default_factory=dict)

    def known(self) -> Scores:
        return self.scores

    def keep(self, scores: Scores) -> None:
        self.new |= scores


@dataclass(frozen=True)
class Score:
    """Some documents of a benchmark, for the scores alone."""

    benchmark: Benchmark
    data_root: Path | None

    def done(self, loaded: LoadedModel) -> Scores:
        """The scores of all their requests."""
        from harness.benchmarks import measure_built

        memory = _Memory({})
        measure_built(loaded, self.benchmark, _built(self.benchmark, self.data_root), memory)
        return memory.new


@dataclass(frozen=True)
class Measure:
    """A whole benchmark; what is known is not scored again."""

    benchmark: Benchmark
    data_root: Path | None
    known: Mapping[str, tuple[float, bool]]

    def done(self, loaded: LoadedModel) -> Any:
        """A `BenchmarkResult`."""
        from harness.benchmarks import measure_built

        memory = _Memory(dict(self.known))
        return measure_built(loaded, self.benchmark, _built(self.benchmark, self.data_root), memory)


def _subject(loaded: LoadedModel) -> Subject:
    """The open model, for those who open it when they need it."""
    from harness.models.subject import Made, Subject

    return Subject(loaded.spec, silent, Made(loaded.fingerprint, lambda: loaded))


def _built(benchmark: Benchmark, data_root: Path | None) -> BuiltTasks:
    """The benchmark with all its documents, of which the last one is kept: to build it takes as long as hundreds."""
    return _last_built(benchmark.model_copy(update={"documents": None, "limit": None}).model_dump_json(), data_root)


@lru_cache(maxsize=1)
def _last_built(benchmark: str, data_root: Path | None) -> BuiltTasks:
    from harness.benchmarks import build_to_keep
    from harness.plan import Benchmark

    return build_to_keep(Benchmark.model_validate_json(benchmark), data_root)
