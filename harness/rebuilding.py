"""Make the derived tables of a store again, from its facts."""

from __future__ import annotations

from collections.abc import Iterator

from harness.deriving import derived
from harness.errors import HarnessError
from harness.history import refuse_changed
from harness.inspection import loaded_suites
from harness.plan import Plan
from harness.stores import Store, VerdictRow
from harness.verdicts.compare import compare


def rebuild(store: Store) -> Iterator[str]:
    """Derive every verdict's rows again; a line for each that cannot be."""
    plans = {job.id: Plan.model_validate_json(job.plan) for job in store.jobs()}
    for row in store.verdicts():
        if not row.before_run:
            continue
        try:
            _derive_again(store, row, plans[row.job])
        except HarnessError as error:
            yield f"job {row.job}, {row.candidate}: {error}"


def _derive_again(store: Store, row: VerdictRow, plan: Plan) -> None:
    before, after = store.run(row.before_run), store.run(row.after_run)
    suites = loaded_suites(plan)
    refuse_changed(suites, before, after)
    comparison = compare(before, after, suites, plan.sequential)
    store.save_derived(row.job, row.candidate, derived(comparison, before.id, after.id))
