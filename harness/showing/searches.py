"""A search for people and machines that do not open its page: text, JSON, and what earlier ones expected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from harness.history import PAGE
from harness.search.account import Account
from harness.stores.trials import Forecast, TrialRow

SEARCH_PAGE = "search.html"
KINDS = {"aim": "aimed", "screen": "screened", "gates": "searched", "verdict": "held out"}
"""Kind of a row -> what it was looked at on."""


def as_text(account: Account, out: Path) -> str:
    """A table of all steps, then the result in words. out: where the pages are."""
    steps = [row for row in account.rows if row.kind in KINDS]
    heads = ("looked at", "candidate", "sparsity", "parameters", "nats/token", "expected", "seconds", "decision")
    spent = sum(row.seconds for row in account.rows)
    last = f"search {account.job}: {spent:,.0f} s, exit code {account.exit_code}"
    pages = [f"curve: {out / SEARCH_PAGE}"]
    if account.winner is not None:
        pages.append(f"report of {account.winner.variant} {account.winner.sparsity:g}: {out / PAGE}")
    return "\n".join([*_table([heads, *map(_cells, steps)]), "", *account.sentences(), "", *pages, last])


def as_json(account: Account) -> str:
    """Everything the search says of itself."""
    rows = [{**asdict(row), "findings": json.loads(row.findings)} for row in account.rows]
    winner = account.winner
    content = {
        "plan": account.plan,
        "job": account.job,
        "exit_code": account.exit_code,
        "winner": {"variant": winner.variant, "sparsity": winner.sparsity} if winner else None,
        "sentences": account.sentences(),
        "trials": rows,
    }
    return json.dumps(content, indent=2)


def history_lines(forecasts: Sequence[Forecast]) -> Iterator[str]:
    """Where searches expected the gates to break before their first trial, and where they did."""
    if not forecasts:
        yield "no search has expected anything yet: `secateur search PLAN` does"
        return
    heads = ("plan", "variant", "started", "expected", "passed", "failed", "trials", "expectation")
    yield from _table([heads, *map(_forecast_cells, forecasts)])


def _cells(row: TrialRow) -> tuple[str, ...]:
    return (
        KINDS[row.kind],
        row.variant,
        f"{row.sparsity:g}",
        f"{row.parameters:,}",
        _number(row.divergence),
        _number(row.predicted),
        f"{row.seconds:.1f}",
        row.decision or row.reason or "-",
    )


def _forecast_cells(one: Forecast) -> tuple[str, ...]:
    met = one.low <= (one.failing if one.failing is not None else one.high)
    met = met and one.high >= (one.passing if one.passing is not None else one.low)
    return (
        one.plan,
        one.variant,
        f"{one.started:%Y-%m-%d %H:%M}",
        f"{one.predicted:.2f} ({one.low:.2f} to {one.high:.2f})",
        _number(one.passing),
        _number(one.failing),
        str(one.trials),
        "met" if met else "missed",
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
