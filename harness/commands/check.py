"""secateur check PLAN: is the plan right, and can its gates decide anything? No weights are loaded."""

from __future__ import annotations

import click


@click.command("check", short_help="Is a plan right, and can its gates decide anything?")
@click.argument("plan", metavar="PLAN")
@click.option("--skip-unsupported", is_flag=True, help="Count assertions that cannot be checked here, and go on.")
@click.option("--allow-code", is_flag=True, help="Take suites with Python code; nothing is run.")
def command(plan: str, skip_unsupported: bool, allow_code: bool) -> int:
    """Read PLAN, its suites and recipes; count items; say what drop each gate can detect. Loads no weights."""
    from harness.inspection import inspected
    from harness.plan import load_plan, permitting

    for line in inspected(permitting(load_plan(plan), skip_unsupported, allow_code)):
        click.echo(line)
    return 0
