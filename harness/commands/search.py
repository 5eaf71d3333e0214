"""secateur search PLAN: the smallest model that passes the gates, or the best that reaches a target."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.permissions import given, permissions
from harness.commands.saying import say


@click.command("search", short_help="Find the smallest model that passes the gates of a plan.")
@click.argument("plan", metavar="[PLAN]", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results go."
)
@click.option("--history", is_flag=True, help="Only say where earlier searches expected gates to break.")
@click.option("--json", "as_json", is_flag=True, help="Print the search as JSON.")
@permissions
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(plan: str | None, out: Path, history: bool, as_json: bool, quiet: bool) -> int:
    """Look among the methods, recoveries and sparsities of PLAN's `search` for the largest cut whose gates all PASS.

    Candidates are chosen by one half of all cases and documents, and judged by the other. Killed at any moment, the
    same command goes on where it stopped. Exit code: 0 something passes on held-out cases, 1 nothing does, 2
    INCONCLUSIVE.
    """
    from harness.history import opened
    from harness.plan_file import load_plan, permitting
    from harness.progress import shown
    from harness.showing import searches
    from harness.stores.trials import TrialTable

    if history:
        say("\n".join(searches.history_lines(TrialTable(opened(out).file).forecasts())))
        return 0
    if plan is None:
        raise click.UsageError("give a PLAN with `search` in it, or --history")
    from harness.search.searching import search

    with shown(quiet) as progress:
        account = search(permitting(load_plan(plan), given()), out, progress, f"secateur search {plan}")
    say(searches.as_json(account) if as_json else searches.as_text(account, out))
    return account.exit_code
