"""lm-eval tasks -> measurements; nothing outside this folder imports lm_eval."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.benchmarks.documents import contents, count_items, drawable
    from harness.benchmarks.lm import ScoringLM
    from harness.benchmarks.measure import BenchmarkResult, measure_benchmark, measure_built, measure_served
    from harness.benchmarks.stock import run_lm_eval
    from harness.benchmarks.tasks import build_to_keep, kinds, metric_names, task_identity

__all__ = [
    "BenchmarkResult",
    "ScoringLM",
    "build_to_keep",
    "contents",
    "count_items",
    "drawable",
    "kinds",
    "measure_benchmark",
    "measure_built",
    "measure_served",
    "metric_names",
    "run_lm_eval",
    "task_identity",
]

_HOMES = {
    "run_lm_eval": "stock",
    "BenchmarkResult": "measure",
    "ScoringLM": "lm",
    "build_to_keep": "tasks",
    "contents": "documents",
    "count_items": "documents",
    "drawable": "documents",
    "kinds": "tasks",
    "measure_benchmark": "measure",
    "measure_built": "measure",
    "measure_served": "measure",
    "metric_names": "tasks",
    "task_identity": "tasks",
}


def __getattr__(name: str) -> object:
    """Load what is asked for: lm_eval and torch take seconds."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
