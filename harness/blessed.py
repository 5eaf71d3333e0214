"""Results that were blessed, as what the candidates of a plan are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import HarnessError
from harness.gates import BASELINE
from harness.plan import Plan
from harness.records import Run
from harness.stores import Store
from harness.stores.baselines import BaselineTable
from harness.stores.duckdb_store import DuckdbStore
from harness.verdicts.beside import Beside, beside
from suites import Suite

NONE: Mapping[str, str] = {}


def resolved(plan: Plan, store: DuckdbStore, facts: Mapping[str, str] = NONE) -> dict[str, str]:
    """Each baseline that a plan names -> the run it stands for: that in the facts of a job, else the newest.

    It is kept among them, so that it means the same when the job goes on and when its page is drawn again.
    Raises HarnessError for a name that stands for nothing.
    """
    return {reference: facts.get(reference) or _newest(reference, store) for reference in plan.baselines}


def stored_beside(
    baselines: Mapping[str, str], store: Store, runs: tuple[Run, Run], suites: Sequence[Suite]
) -> list[Beside]:
    """A candidate beside each of these runs, by name. runs: the original's and its own."""
    return [beside(reference, store.run(run), runs, suites) for reference, run in baselines.items()]


def _newest(reference: str, store: DuckdbStore) -> str:
    name = reference.removeprefix(BASELINE)
    baselines = BaselineTable(store.file).baselines()
    found = next((one for one in baselines if one.name == name), None)
    if found is None:
        known = ", ".join(dict.fromkeys(one.name for one in baselines)) or "none; `secateur baseline bless` names one"
        raise HarnessError(f"against {reference}: no such baseline in {store.file.path}; there are: {known}")
    row = next((one for one in store.verdicts(found.job) if one.candidate == found.candidate and one.after_run), None)
    if row is None:
        raise HarnessError(f"against {reference}: the result of {found.candidate} in job {found.job} is not stored")
    return row.after_run
