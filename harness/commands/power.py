"""secateur power PLAN: what drop can the gates detect, and how many items would they need? No weights are loaded."""

from __future__ import annotations

import click

from harness.commands.saying import say


@click.command("power", short_help="What drop can a plan's gates detect, and how many items do they need?")
@click.argument("plan", metavar="PLAN")
def command(plan: str) -> int:
    """For each gate of PLAN: the drop it can detect with its items if 2, 5 or 10 % of them flip, and how many it needs.

    The more items flip between two models, in either direction, the more are needed. Loads no weights.
    """
    from harness.inspection import loaded_suites, refuse_impossible
    from harness.outlook import powered
    from harness.plan_file import load_plan

    chosen = load_plan(plan)
    suites = loaded_suites(chosen)
    refuse_impossible(chosen, suites)
    for line in powered(chosen, suites):
        say(line)
    return 0
