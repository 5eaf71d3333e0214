"""A plan in two halves that share no case and no document: candidates are chosen by one and judged by the other."""

from __future__ import annotations

from pathlib import Path

from harness.candidates.halves import in_first_half
from harness.errors import HarnessError
from harness.plan import Benchmark, Plan
from harness.search.form import Half

FEWEST = 100
"""Tokens of a corpus that a plan asks at least."""


def parted(plan: Plan, half: Half) -> Plan:
    """The plan with half of everything it asks: cases, documents of benchmarks, documents of corpora.

    Raises HarnessError for a benchmark that cannot be parted.
    """
    benchmarks = [_parted(benchmark, plan, half) for benchmark in plan.benchmarks]
    fidelity = plan.fidelity and plan.fidelity.model_copy(update={"tokens": max(plan.fidelity.tokens // 2, FEWEST)})
    return plan.model_copy(update={"half": half, "benchmarks": benchmarks, "fidelity": fidelity})


def _parted(benchmark: Benchmark, plan: Plan, half: Half) -> Benchmark:
    # Loads lm-eval, which a plan without benchmarks does not need.
    from harness.benchmarks import contents

    known = contents(benchmark, Path(plan.data_root) if plan.data_root else None)
    where = f"plan {plan.name}: benchmark {benchmark.task}"
    if known is None:
        raise HarnessError(f"{where}: a search halves the documents of single tasks, this is a group; name its tasks")
    chosen = [number for number, document in known.items() if in_first_half(document) == (half == "searched")]
    if not chosen:
        raise HarnessError(f"{where}: too few documents to part in halves: {len(known)}")
    return benchmark.model_copy(update={"documents": tuple(chosen), "limit": None})
