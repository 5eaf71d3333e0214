"""secateur init [DIR]: a plan and a suite that run as they are."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say


@click.command("init", short_help="Write a plan and a suite that run as they are.")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path("."))
def command(folder: Path) -> int:
    """Write plan.yaml and suites/support.yaml into DIR (default: here); files already there are left alone."""
    from harness.errors import HarnessError
    from harness.starter import write_starter

    if folder.exists() and not folder.is_dir():
        raise HarnessError(f"{folder} is a file; give a folder")
    written = write_starter(folder)
    for path in written:
        say(f"wrote {path}")
    if not written:
        say("nothing written: the files are there already and were left alone")
    say(f"next: secateur check {folder / 'plan.yaml'} && secateur run {folder / 'plan.yaml'}")
    return 0
