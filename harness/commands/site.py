"""secateur site DIR: the whole store as pages."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say

newest = click.option(
    "--reports",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    metavar="N",
    help="Also draw the whole report of the newest N jobs.",
)


@click.command("site", short_help="The whole history as pages in a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
@newest
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(folder: Path, out: Path, reports: int, quiet: bool) -> int:
    """Draw the store as static pages in DIR: jobs, trends, suites, any two runs, schedules, search.

    Again, only what has changed is drawn. DIR is made, or holds a site already; index.html opens from disk, and the
    folder can be served as it is.
    """
    from harness.history import opened
    from harness.progress import shown
    from harness.site.building import FIRST, build

    with shown(quiet) as progress:
        built = build(opened(out), folder, reports, progress)
    say(f"{built.drawn} pages drawn, {built.kept} as they were, {built.removed} removed")
    say(str(folder / FIRST))
    return 0
