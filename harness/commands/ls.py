"""secateur ls: what is stored."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say


@click.command("ls", short_help="List stored jobs, runs and verdicts.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
def command(out: Path) -> int:
    """List every job with its verdicts, newest first."""
    from harness.history import listed, opened

    for line in listed(opened(out)):
        say(line)
    return 0
