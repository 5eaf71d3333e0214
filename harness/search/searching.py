"""The search, read top to bottom: screen, hold against the gates, judge the finalists on what was held out."""

from __future__ import annotations

from pathlib import Path

from compress import CompressError
from harness.errors import HarnessError
from harness.plan import Plan
from harness.progress import Progress, silent
from harness.search.account import Account, accounted
from harness.search.aiming import aimed
from harness.search.bench import Bench, prepared
from harness.search.courses import Course, follow_, screened, winner, write_down
from harness.search.finals import judge_finalists
from harness.showing.search_page import publish_search
from harness.showing.searches import SEARCH_PAGE


def search(plan: Plan, out: Path = Path("out"), progress: Progress = silent, command: str = "") -> Account:
    """Find the largest sparsity whose gates all PASS. Interrupted, the same call goes on where it stopped.

    out: folder for the store, the models made and the pages. Raises HarnessError for a plan that cannot be searched.
    """
    bench = prepared(plan, out, progress, command)
    _refuse_unreachable(bench)
    courses = aimed(bench, bench.form.target, command) if bench.form.target else _followed(bench, command)
    for course in courses:
        write_down(course, bench)
    account = accounted(bench.searched.job, bench.ledger.rows)
    publish_search(bench.store, bench.searched.job, out / SEARCH_PAGE)
    bench.store.finish_job(account.job, account.exit_code)
    return account


def _followed(bench: Bench, command: str) -> list[Course]:
    """Follow every variant to where its gates break, and judge the smallest candidate that passes."""
    courses = screened(bench)
    for course in courses:
        follow_(course, courses, bench)
    best = winner(courses, bench)
    if best is not None:
        judge_finalists(best, bench, command)
    return courses


def _refuse_unreachable(bench: Bench) -> None:
    """Raise HarnessError for every method that cannot remove as much as the search goes up to."""
    faults = []
    for variant in bench.variants:
        try:
            bench.cuts.forecast(variant, bench.form.sparsity[1])
        except CompressError as error:
            faults.append(f"search.sparsity: {variant.name}: {error}")
    if faults:
        raise HarnessError("\n".join(faults))
