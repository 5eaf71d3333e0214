"""Which documents of a benchmark are asked, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.benchmarks.data import local_files
from harness.benchmarks.tasks import BuiltTasks, build, index_of, source_of
from harness.errors import HarnessError
from harness.plan import Benchmark


def count_items(benchmark: Benchmark, data_root: Path | None) -> int | None:
    """Documents that the benchmark will ask, or None where they would have to be fetched from the hub first."""
    configs = index_of(benchmark).configs
    if any(local_files(source_of(config), data_root) is None for config in configs):
        return None
    built = build(benchmark, data_root)
    if chosen(benchmark, built) is not None:
        return len(benchmark.documents or ())
    lengths = [len(task.eval_docs) for task in built.tasks["tasks"].values()]
    return sum(min(length, benchmark.limit or length) for length in lengths)


def drawable(benchmark: Benchmark, data_root: Path | None) -> tuple[int, ...] | None:
    """The numbers of a benchmark's documents where they can be asked a few at a time, else None.

    A group's tasks are clusters; lm-eval draws examples in the order of documents; written answers are not kept.
    """
    if len(index_of(benchmark).configs) != 1:
        return None
    built = build(benchmark, data_root)
    (task,) = built.tasks["tasks"].values()
    if task.config.num_fewshot or task.OUTPUT_TYPE not in ("multiple_choice", "loglikelihood"):
        return None
    return tuple(_numbers(benchmark, built))


def contents(benchmark: Benchmark, data_root: Path | None) -> dict[int, object] | None:
    """Number -> content of every document that a single task will ask; None for a group of tasks."""
    if len(index_of(benchmark).configs) != 1:
        return None
    built = build(benchmark, data_root)
    (task,) = built.tasks["tasks"].values()
    return {number: task.eval_docs[number] for number in _numbers(benchmark, built)}


def _numbers(benchmark: Benchmark, built: BuiltTasks) -> Sequence[int]:
    """Of the documents of a single task that are asked, in rising order."""
    given = chosen(benchmark, built)
    if given is None:
        return range(built.documents)[: benchmark.limit]
    (numbers,) = given.values()
    return numbers


def chosen(benchmark: Benchmark, built: BuiltTasks) -> dict[str, Sequence[int]] | None:
    """The documents of a plan as lm-eval takes them: in rising order, or it would number them wrongly.

    Numbers without a gap are a range: lm-eval looks for each of the task's documents among them, in a list one by one.
    """
    if benchmark.documents is None:
        return None
    last = built.documents - 1
    if len(built.tasks["tasks"]) != 1 or max(benchmark.documents) > last:
        allowed = f"0 to {last}" if len(built.tasks["tasks"]) == 1 else "none, for it is a group of tasks"
        raise HarnessError(f"benchmark {benchmark.task!r}: no such documents; allowed: {allowed}")
    numbers: Sequence[int] = sorted(benchmark.documents)
    if len(numbers) == numbers[-1] - numbers[0] + 1:
        numbers = range(numbers[0], numbers[-1] + 1)
    return dict.fromkeys(built.tasks["tasks"], numbers)
