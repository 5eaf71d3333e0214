"""secateur store check: look after the store."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("store", short_help="Look after the store.")
def command() -> None:
    """The DuckDB file of the results folder: tables and views with comments, open to any DuckDB client."""


@command.command("check", short_help="Does everything belong together?")
@click.option("--rebuild", is_flag=True, help="First make the derived tables again: deltas, flips, checks.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
def check(rebuild: bool, out: Path) -> int:
    """Count what is stored and say what does not belong together; exit 3 if something does not."""
    from harness import rebuilding
    from harness.history import opened
    from harness.stores import soundness

    store = opened(out)
    wrong = list(rebuilding.rebuild(store)) if rebuild else []
    wrong += soundness.faults(store.file)
    for line in (*soundness.counted(store.file), *wrong):
        click.echo(line)
    return 3 if wrong else 0
