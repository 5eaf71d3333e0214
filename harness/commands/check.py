"""secateur check PLAN: is the plan right, and can its gates decide anything? No weights are loaded."""

from __future__ import annotations

import click

from harness.commands.permissions import given, permissions
from harness.commands.saying import say


@click.command("check", short_help="Is a plan right, and can its gates decide anything?")
@click.argument("plan", metavar="PLAN")
@permissions
def command(plan: str) -> int:
    """Read PLAN, its suites and recipes; count items; say what drop each gate can detect. Loads no weights."""
    from harness.inspection import inspected
    from harness.plan_file import load_plan, permitting

    for line in inspected(permitting(load_plan(plan), given())):
        say(line)
    return 0
