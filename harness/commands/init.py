"""secateur init [DIR]: a plan and a suite that run as they are."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init", short_help="Write a plan and a suite that run as they are.")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path("."))
def command(folder: Path) -> int:
    """Write plan.yaml and suites/support.yaml into DIR (default: here); files already there are left alone."""
    from harness.starter import write_starter

    for path in write_starter(folder):
        click.echo(f"wrote {path}")
    click.echo(f"next: secateur check {folder / 'plan.yaml'} && secateur run {folder / 'plan.yaml'}")
    return 0
