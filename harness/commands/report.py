"""secateur report [JOB]: draw the page of a stored job again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report", short_help="Draw the page of a stored job again.")
@click.argument("job", metavar="[JOB]", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
@click.option("--page", type=click.Path(path_type=Path), help="File to write.  [default: OUT/report.html]")
def command(job: str | None, out: Path, page: Path | None) -> int:
    """Write the HTML page of JOB (id of a job or of one of its runs; the newest if not given)."""
    from harness.history import found, opened, publish

    store = opened(out)
    click.echo(publish(store, found(store, job), page or out / "report.html"))
    return 0
