"""secateur baseline: the results to beat."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say

OUT = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)


@click.group("baseline", short_help="Name a result as the one to beat.")
def command() -> None:
    """Baselines: results that later ones are held against by `secateur trend`."""


@command.command("bless", short_help="Name a result as the one to beat.")
@click.argument("identifier", metavar="[JOB|RUN]", required=False)
@click.option("--candidate", metavar="NAME", help="Of a job with several.")
@click.option("--name", metavar="NAME", help="Such as prod.  [default: the candidate's name]")
@click.option("--note", default="", metavar="TEXT", help="Why.")
@OUT
def bless(identifier: str | None, candidate: str | None, name: str | None, note: str, out: Path) -> int:
    """Bless a candidate's result in JOB (the newest if not given). A name that is blessed again moves."""
    from harness import baselines
    from harness.history import opened
    from harness.schedules import utc_now
    from harness.stores.baselines import BaselineTable

    store = opened(out)
    verdict = baselines.chosen(store, identifier, candidate)
    blessed = baselines.bless(BaselineTable(store.file), verdict, name, note, utc_now())
    say(f"{blessed.name} is now {verdict.candidate} of job {verdict.job}: {verdict.decision}")
    return 0


@command.command("list", short_help="What was blessed.")
@OUT
def list_(out: Path) -> int:
    """Show every baseline, the newest first."""
    from harness import baselines
    from harness.history import opened
    from harness.stores.baselines import BaselineTable

    store = opened(out)
    for line in baselines.listed(BaselineTable(store.file), store):
        say(line)
    return 0
