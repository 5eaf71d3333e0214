"""secateur check PLAN: is the plan right, and can its gates decide anything? No weights are loaded."""

from __future__ import annotations

import click


@click.command("check", short_help="Is a plan right, and can its gates decide anything?")
@click.argument("plan", metavar="PLAN")
def command(plan: str) -> int:
    """Read PLAN, its suites and recipes; count items; say what drop each gate can detect. Loads no weights."""
    from harness.inspection import inspected
    from harness.plan import load_plan

    for line in inspected(load_plan(plan)):
        click.echo(line)
    return 0
