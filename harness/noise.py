"""The noise floor: one model asked twice, the second time in other batches. What differs then is not the model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.digest import digest
from harness.inspection import loaded_suites
from harness.models.batching import OTHER
from harness.models.subject import Subject
from harness.plan import Plan
from harness.plan_models import spec
from harness.progress import Progress
from harness.records import ORIGINAL, Run
from harness.stores import Asked, Store
from harness.stores.duckdb_store import DuckdbStore
from harness.verdicts.compare import Comparison, compare
from suites import Suite

if TYPE_CHECKING:
    from harness.measuring import Context

AGAIN = f"{ORIGINAL}, again"
"""The name of the model in the run that measures noise."""


def measured_again(original: Subject, shared: Sequence[str], context: Context) -> Comparison:
    """The original against itself on the plan's suites and benchmarks; `shared` are the stages of its first time."""
    # Loads lm-eval, which a page that only shows noise does not need.
    from harness.assessing import advised
    from harness.measuring import measured

    again = original.again(AGAIN, OTHER)
    stages = measured(again, context)
    again.release()
    advice = advised(original, again, context)
    store, job = context.store, context.job
    for name, model, kept in (("noise", again.spec, stages), ("noise before", original.spec, shared)):
        store.save_run(Run(digest(job.id, name)[:8], model, original.fingerprint), job.id, (*kept, *advice))
    found = stored_noise(store, job.id, context.suites)
    assert found is not None, "both runs were stored just now"
    return found


def stored_noise(store: Store, job: str, suites: Sequence[Suite]) -> Comparison | None:
    """What a job measured of its noise; None: it did not."""
    if not any(run.model.name == AGAIN for run in store.runs(job)):
        return None
    return compare(store.run(digest(job, "noise before")[:8]), store.run(digest(job, "noise")[:8]), suites)


@dataclass(frozen=True)
class Floor:
    """How much of one metric is noise."""

    said: str
    """Flips of yes-or-no items, the largest change of an item otherwise."""
    shift: float
    """The largest drop that such changes make, if all go the same way: their mean size."""


def floors(noise: Comparison) -> dict[str, Floor]:
    """Metric -> its noise."""
    found = {}
    for name, series in noise.series.items():
        changes = series.drops if series.paired else series.after
        changes = np.abs(changes[np.isfinite(changes)])
        if series.summary == "losses" or not len(changes):
            continue
        flips = f"{int((changes > 0).sum())} of {len(changes)} flip"
        said = flips if series.scale == "binary" else f"{changes.max():.1g} at most"
        found[name] = Floor(said, float(changes.mean()))
    return found


def floor_lines(noise: Comparison) -> Iterator[str]:
    """One line a metric."""
    for name, floor in floors(noise).items():
        yield f"noise of {name}: {floor.said}, the original against itself in other batches"


def noise_of(plan: Plan, progress: Progress) -> Comparison:
    """Ask the plan's original twice and keep nothing."""
    from harness.measuring import Context, measured

    suites = loaded_suites(plan)
    with tempfile.TemporaryDirectory() as folder:
        store = DuckdbStore(Path(folder) / "noise.duckdb")
        job = store.begin_job(Asked(plan.name, plan.model_dump_json(), digest(plan.model_dump_json())))
        context = Context(plan, suites, job, store, Path(folder), progress)
        original = Subject(spec(ORIGINAL, plan.original), progress)
        return measured_again(original, measured(original, context), context)
