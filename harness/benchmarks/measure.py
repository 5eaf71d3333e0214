"""Run a benchmark through lm-eval and keep what it says of each document."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval.evaluator import evaluate

from harness.benchmarks.conditions import quiet_and_repeatable
from harness.benchmarks.documents import chosen
from harness.benchmarks.lm import Memory, ScoringLM
from harness.benchmarks.served import ServedLM, TextMemory
from harness.benchmarks.tasks import BuiltTasks, build
from harness.endpoints import Connection
from harness.errors import HarnessError
from harness.models.opening import LoadedModel
from harness.plan import Benchmark
from harness.progress import Progress, silent
from harness.records import CUT, Item, Measurement
from harness.statistics.means import item_mean

LIKELIHOODS = {
    "word_perplexity": "nats/word",
    "byte_perplexity": "nats/byte",
    "bits_per_byte": "nats/byte",
    "perplexity": "nats/target",
}
"""Corpus values made of a log-likelihood per document, and the unit of that."""

Row = Mapping[str, Any]
"""What lm-eval logs of one document under one filter."""
Results = Mapping[str, Any]
"""What lm-eval's `evaluate` returns."""


class BenchmarkResult(NamedTuple):
    """The numbers of one benchmark, and what a reader should know of them."""

    measurements: list[Measurement]
    facts: dict[str, str]


class _Metric(NamedTuple):
    """One number that lm-eval gives for a task or a group."""

    name: str
    """As a gate names it: the filter is part of it only where a task has several."""
    metric: str
    filter: str
    value: float
    higher_is_better: bool


def measure_benchmark(
    loaded: LoadedModel,
    benchmark: Benchmark,
    data_root: Path | None = None,
    progress: Progress = silent,
    memory: Memory | None = None,
) -> BenchmarkResult:
    """Ask every document; one measurement per metric, of a group of tasks one per metric of the group.

    memory: keeps log-likelihoods batch by batch, and gives back those of an interrupted run.
    """
    return _measured(ScoringLM(loaded, progress, benchmark.task, memory), benchmark, build(benchmark, data_root))


def measure_built(loaded: LoadedModel, benchmark: Benchmark, built: BuiltTasks, memory: Memory) -> BenchmarkResult:
    """The same of a benchmark that is built already; of its documents or its limit it may have others."""
    return _measured(ScoringLM(loaded, silent, benchmark.task, memory), benchmark, built)


def measure_served(
    connection: Connection, benchmark: Benchmark, data_root: Path | None, progress: Progress, memory: TextMemory
) -> BenchmarkResult:
    """The same of a model that is served at an endpoint; the memory keeps what is written too."""
    model = ServedLM(connection, memory, progress, benchmark.task)
    return _measured(model, benchmark, build(benchmark, data_root))


def _measured(model: ScoringLM | ServedLM, benchmark: Benchmark, built: BuiltTasks) -> BenchmarkResult:
    """lm-eval's `evaluate` is called directly: `simple_evaluate` around it spends seconds describing the machine."""
    with quiet_and_repeatable():
        results = evaluate(
            lm=model,
            task_dict=built.tasks,
            limit=benchmark.limit,
            samples=chosen(benchmark, built),
            bootstrap_iters=0,
            log_samples=True,
            apply_chat_template=benchmark.apply_chat_template,
            fewshot_as_multiturn=True,
        )
    notes = [*built.notes, *model.notes]
    measurements: list[Measurement] = []
    covered: set[str] = set()
    for group in _outermost(built, results):
        covered.update(_task_names(group))
        measurements += _group_measurements(group, results, notes)
    for task in results["samples"].keys() - covered:
        measurements += _task_measurements(task, results, notes)
    if not measurements:
        raise HarnessError(f"benchmark {benchmark.task!r} gave no metric")
    facts = {f"benchmark {benchmark.task}": _description(built, results, list(dict.fromkeys(notes)))}
    if model.cuts:
        facts[CUT] = "; ".join(dict.fromkeys(model.cuts))
    return BenchmarkResult(sorted(measurements, key=lambda measurement: measurement.metric), facts)


def _task_measurements(task: str, results: Results, notes: list[str]) -> list[Measurement]:
    """Every metric of one task; what is no mean over documents has a value only.

    Behind a perplexity stands the log-likelihood of each document: it is what two models are paired by.
    """
    measurements: dict[str, Measurement] = {}
    for metric in _metrics(task, results, notes):
        rows = _rows(results, task, metric)
        items = _items(metric, rows)
        measurements[metric.name] = _measurement(metric, items)
        unit = LIKELIHOODS.get(metric.metric)
        name = f"{task}.loglikelihood"
        if unit and name not in measurements:
            items = tuple(_likelihood_item(row, row[metric.metric]) for row in rows)
            measurements[name] = Measurement(name, item_mean(items), unit, True, "graded", items)
    return list(measurements.values())


def _group_measurements(group: Any, results: Results, notes: list[str]) -> list[Measurement]:
    """The group's own metrics over the documents of all its tasks; each task is a cluster."""
    by_size = {each.metric: each.weight_by_size for each in group.aggregate_metric_list}
    measurements = []
    for metric in _metrics(group.name, results, notes):
        items: list[Item] = []
        for task in _task_names(group):
            rows = _rows(results, task, metric)
            weight = 1.0 if by_size[metric.metric] else 1.0 / max(len(rows), 1)
            items += [_item(row, float(row[metric.metric]), cluster=task, weight=weight) for row in rows]
        measurements.append(_measurement(metric, tuple(items)))
    return measurements


def _metrics(name: str, results: Results, notes: list[str]) -> list[_Metric]:
    """The entries "metric,filter" of one task or group; one whose direction lm-eval does not say is noted and left."""
    entries = {}
    for key, value in results["results"][name].items():
        metric, comma, chosen = key.partition(",")
        if comma and not metric.endswith("_stderr"):
            entries[metric, chosen] = float(value)
    filters = {chosen for _, chosen in entries}
    directions = results["higher_is_better"].get(name, {})
    metrics = []
    for (metric, chosen), value in entries.items():
        direction = directions.get(metric)
        if direction is None:
            notes.append(f"{name}: lm-eval does not say which way {metric} is better; left out")
            continue
        full_name = f"{name}.{metric}.{chosen}" if len(filters) > 1 else f"{name}.{metric}"
        metrics.append(_Metric(full_name, metric, chosen, value, direction))
    return metrics


def _rows(results: Results, task: str, metric: _Metric) -> list[Row]:
    """What was logged of each document for one metric."""
    return [row for row in results["samples"][task] if row["filter"] == metric.filter and metric.metric in row]


def _items(metric: _Metric, rows: Sequence[Row]) -> tuple[Item, ...]:
    """One item a document, if the metric's value is their mean; else none."""
    values = [row[metric.metric] for row in rows]
    if not rows or not all(isinstance(value, int | float) for value in values):
        return ()
    if not math.isclose(sum(values) / len(values), metric.value, rel_tol=1e-9, abs_tol=1e-12):
        return ()
    return tuple(_item(row, float(value)) for row, value in zip(rows, values, strict=True))


def _item(row: Row, value: float, cluster: str = "", weight: float = 1.0) -> Item:
    hashes = row["doc_hash"] + row["prompt_hash"] + row["target_hash"]
    name = f"{cluster}/{row['doc_id']}" if cluster else str(row["doc_id"])
    return Item(name, hashlib.sha256(hashes.encode()).hexdigest(), value, cluster, weight, _choices(row))


def _choices(row: Row) -> tuple[float, ...]:
    """Log-likelihood of each answer to choose from; empty for a document that offers none."""
    answers = row["filtered_resps"]
    if len(answers) < 2 or not all(isinstance(answer, tuple) for answer in answers):
        return ()
    # For mutual information all choices are asked once more, without the question.
    count = len(answers) // 2 if "acc_mutual_info" in row else len(answers)
    return tuple(float(logprob) for logprob, _ in answers[:count])


def _likelihood_item(row: Row, value: float | tuple[float, int]) -> Item:
    """lm-eval logs (log-likelihood, words or bytes) of a text, or the log-likelihood of one target."""
    if isinstance(value, tuple):
        return _item(row, value[0] / value[1], weight=float(value[1]))
    return _item(row, float(value))


def _measurement(metric: _Metric, items: tuple[Item, ...]) -> Measurement:
    binary = bool(items) and all(item.value in (0.0, 1.0) for item in items)
    return Measurement(
        metric=metric.name,
        value=metric.value,
        unit="share" if binary else metric.metric,
        higher_is_better=metric.higher_is_better,
        scale="binary" if binary else "graded",
        items=items,
    )


def _outermost(built: BuiltTasks, results: Results) -> list[Any]:
    """Groups with numbers of their own that lie in no other such group."""
    groups = [built.tasks["groups"][name] for name in results.get("groups", {})]
    inner = {each.name for group in groups for each in group.get_all_groups()}
    return [group for group in groups if group.name not in inner]


def _task_names(group: Any) -> list[str]:
    return [task.task_name for task in group.get_all_tasks()]


def _description(built: BuiltTasks, results: Results, notes: Sequence[str]) -> str:
    """One line: versions, examples, documents, lm-eval's hash of what was asked, and the notes."""
    samples = results["samples"]
    asked = sum(len({row["doc_id"] for row in rows}) for rows in samples.values())
    hashes = "".join(
        row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for rows in samples.values() for row in rows
    )
    versions = sorted({str(results["versions"][task]) for task in samples})
    shots = sorted({int(results["n-shot"][task]) for task in samples})
    parts = [
        f"lm-eval {version('lm_eval')}",
        f"task version {', '.join(versions)}",
        f"{', '.join(map(str, shots))} examples",
        f"{asked} of {built.documents} documents",
        f"task hash {hashlib.sha256(hashes.encode()).hexdigest()[:16]}",
    ]
    return "; ".join([*parts, *notes])
