"""secateur show ID: one job or run in full."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say


@click.command("show", short_help="Show one stored job or run.")
@click.argument("identifier", metavar="JOB|RUN")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
def command(identifier: str, out: Path) -> int:
    """Show a job (its verdicts and findings) or a run (its numbers)."""
    from harness.history import opened, shown

    for line in shown(opened(out), identifier):
        say(line)
    return 0
