"""secateur show ID: one job or run in full."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say
from harness.commands.stored import OUT, SHARED


@click.command("show", short_help="Show one stored job or run.")
@click.argument("identifier", metavar="JOB|RUN")
@OUT
@SHARED
def command(identifier: str, out: Path, shared: str | None) -> int:
    """Show a job (its verdicts and findings) or a run (its numbers)."""
    from harness.history import opened, shown

    for line in shown(opened(out, shared), identifier):
        say(line)
    return 0
