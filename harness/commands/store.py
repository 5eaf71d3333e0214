"""secateur store: look after the store, write it as Parquet files, make one of them, merge two."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say
from harness.commands.stored import OUT


@click.group("store", short_help="Look after the store.")
def command() -> None:
    """The DuckDB file of the results folder: tables and views with comments, open to any DuckDB client."""


@command.command("check", short_help="Does everything belong together?")
@click.option("--rebuild", is_flag=True, help="First make the derived tables again: deltas, flips, checks, grades.")
@OUT
def check(rebuild: bool, out: Path) -> int:
    """Count what is stored and say what does not belong together; exit 3 if something does not."""
    from harness import rebuilding
    from harness.history import opened
    from harness.stores import soundness

    store = opened(out)
    wrong = list(rebuilding.rebuild(store)) if rebuild else []
    wrong += soundness.faults(store.file)
    for line in (*soundness.counted(store.file), *wrong):
        say(line)
    return 3 if wrong else 0


@command.command("export", short_help="Write it as Parquet files.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@OUT
def export(folder: Path, out: Path) -> int:
    """Write every table to DIR, which must not be there yet, and a manifest that `import` reads."""
    from harness.history import opened
    from harness.stores import parquet

    _count(parquet.export(opened(out).file, folder))
    return 0


@command.command("import", short_help="Make a store from Parquet files.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@OUT
def import_(folder: Path, out: Path) -> int:
    """Make a store from what `export` wrote to DIR, by this secateur or an older one; no store may be there yet."""
    from harness.history import STORE
    from harness.stores import parquet

    _count(parquet.restore(folder, out / STORE))
    return 0


@command.command("merge", short_help="Add what another store holds.")
@click.argument("other", metavar="OTHER.duckdb", type=click.Path(path_type=Path))
@OUT
def merge(other: Path, out: Path) -> int:
    """Add the finished jobs of OTHER and all that belongs to them; what is there already is not added again.

    Nothing is changed if a row is in both with other content. Letters and schedules stay in OTHER.
    """
    from harness.history import opened
    from harness.stores import merging

    merged = merging.merge(opened(out).file, other)
    _count(merged.added)
    if merged.unfinished:
        say(f"{merged.unfinished} jobs of {other} are not finished, and were left there")
    return 0


@command.command("push", short_help="Put finished jobs where others read them.")
@click.argument("place", metavar="FOLDER|URL")
@OUT
def push(place: str, out: Path) -> int:
    """Put every finished job that is not there yet to a shared folder, or an object store such as s3://bucket/team.

    Many machines may push to one place; `ls`, `show`, `trend` and `report` read it by --store. Letters and schedules
    stay here.
    """
    from harness.history import opened
    from harness.stores import places, pushing

    where = places.place(place)
    pushed = pushing.push(opened(out).file, where)
    say(f"{pushed.jobs} jobs pushed to {where.name}")
    if pushed.left:
        say(f"{pushed.left} jobs are not finished, or were stopped early, and stay here")
    return 0


def _count(rows: dict[str, int]) -> None:
    for table, number in rows.items():
        say(f"{table:16}{number:>12,}")
