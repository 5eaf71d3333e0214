"""secateur ls: what is stored."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say
from harness.commands.stored import OUT, SHARED


@click.command("ls", short_help="List stored jobs, runs and verdicts.")
@OUT
@SHARED
def command(out: Path, shared: str | None) -> int:
    """List every job with its verdicts, newest first."""
    from harness.history import listed, opened

    for line in listed(opened(out, shared)):
        say(line)
    return 0
