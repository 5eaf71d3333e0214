"""Errands: parts of what is still to be asked of a model, small enough to be lost and done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.records import Answer, ModelSpec

if TYPE_CHECKING:
    from harness.answering.generation import Prompt
    from harness.benchmarks.tasks import BuiltTasks
    from harness.models.opening import LoadedModel
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
    """Stays here. What it returns comes of the result and is still to be done, of the same model."""


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


def _built(benchmark: Benchmark, data_root: Path | None) -> BuiltTasks:
    """The benchmark with all its documents, of which the last one is kept: to build it takes as long as hundreds."""
    return _last_built(benchmark.model_copy(update={"documents": None, "limit": None}).model_dump_json(), data_root)


@lru_cache(maxsize=1)
def _last_built(benchmark: str, data_root: Path | None) -> BuiltTasks:
    from harness.benchmarks import build_to_keep
    from harness.plan import Benchmark

    return build_to_keep(Benchmark.model_validate_json(benchmark), data_root)
