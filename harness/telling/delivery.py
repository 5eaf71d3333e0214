"""Deliver the letters of a store, to PromptLayer or a collector, account by account, and say what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from compress import CompressError
from harness.errors import HarnessError
from harness.history import PAGE, found, opened, publish
from harness.plan import Plan
from harness.progress import Progress
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.outbox import Outbox
from harness.telling.outbox import Drained, Limits, Sender, drain
from reports.errors import ReportError
from suites.errors import SuiteError

AFTER_RUN_SECONDS = 60.0


@dataclass(frozen=True)
class Delivery:
    """What came of the letters of one account."""

    account: str
    waiting: int
    drained: Drained | None
    problem: str = ""
    """Why nothing could be sent, where nothing was drained."""

    @property
    def troubled(self) -> bool:
        return self.drained is None or self.drained.troubled or self.drained.refused > 0

    def line(self) -> str:
        if self.drained is None:
            return f"{self.account}: {self.problem}; {self.waiting} waiting for `secateur sync`"
        parts = [f"{self.drained.sent} sent"]
        if self.drained.refused:
            parts.append(f"{self.drained.refused} refused, see `secateur outbox ls`")
        if self.waiting:
            parts.append(f"{self.waiting} waiting for `secateur sync`")
        stopped = f"; {self.drained.stopped}" if self.drained.stopped else ""
        return f"{self.account}: {', '.join(parts)}{stopped}"


def delivered(store: DuckdbStore, limits: Limits, progress: Progress) -> Iterator[Delivery]:
    """Send what is due for every account whose variable is set; the limits hold for each of them."""
    outbox = Outbox(store.file)
    for account in outbox.accounts():
        try:
            with _sender(outbox, account, limits) as sender:
                drained = drain(outbox, account, sender, limits, progress)
        except HarnessError as error:
            # One account that cannot be used keeps no other from being served.
            yield Delivery(account, outbox.waiting(account), None, str(error))
        else:
            yield Delivery(account, drained.waiting, drained)


def _sender(outbox: Outbox, account: str, limits: Limits) -> AbstractContextManager[Sender]:
    """What an account is is seen from what waits for it. Raises HarnessError if its variable is of no use."""
    value = os.environ.get(account, "").strip()
    if not value:
        raise HarnessError("not set")
    if not (value.isascii() and value.isprintable()):
        raise HarnessError("it holds characters that do not belong there; copy it again")
    kinds = {one.kind for one in outbox.census() if one.account == account}
    if kinds & {"spans", "metrics"}:
        from harness.telling.collector import collecting

        return collecting(value, limits.pace, limits.requests)
    from harness.telling.promptlayer import connected

    return connected(value, limits.pace, limits.requests)


def announced(outbox: Outbox) -> Iterator[str]:
    """What would be sent, a line an account."""
    for account in outbox.accounts():
        kinds = [one for one in outbox.census() if one.account == account and one.state in ("pending", "inflight")]
        yield f"{account}: " + ", ".join(f"{one.letters} {one.kind} ({one.state})" for one in kinds)


def after_run(plan: Plan, out: Path, job: str, progress: Progress) -> list[str]:
    """What a run does at its end, if its plan wants something told: whatever happens, the verdict stands."""
    wanted = [one.max_requests for one in (plan.promptlayer, plan.otlp) if one is not None]
    if not wanted:
        return []
    limits = Limits(max(wanted), AFTER_RUN_SECONDS)
    try:
        store = opened(out)
        lines = [delivery.line() for delivery in delivered(store, limits, progress)]
        if Outbox(store.file).counted(job):
            publish(store, found(store, job), out / PAGE)
    except (HarnessError, SuiteError, CompressError, ReportError, OSError) as error:
        return [f"{error}; the letters wait for `secateur sync`"]
    return lines
