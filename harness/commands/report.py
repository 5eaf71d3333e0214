"""secateur report [JOB]: draw the page of a stored job again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say
from harness.commands.stored import OUT, SHARED


@click.command("report", short_help="Draw the page of a stored job again.")
@click.argument("job", metavar="[JOB]", required=False)
@OUT
@SHARED
@click.option("--page", type=click.Path(path_type=Path), help="File to write.  [default: OUT/report.html]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Folder to write instead: a page that reads the texts of cases as they are shown, for very many.",
)
def command(job: str | None, out: Path, shared: str | None, page: Path | None, folder: Path | None) -> int:
    """Write the HTML page of JOB (id of a job, of a search, or of one of its runs; the newest if not given)."""
    import reports
    from harness.errors import HarnessError
    from harness.history import found, judged_again, opened, publish
    from harness.showing.search_page import publish_search
    from harness.showing.searches import SEARCH_PAGE
    from harness.stores.trials import TrialTable

    if page and folder:
        raise HarnessError("--page and --folder: a report is one file or a folder; give one of them")
    store = opened(out, shared)
    wanted = found(store, job)
    if TrialTable(store.file).rows(wanted.id):
        say(str(publish_search(store, wanted, page or out / SEARCH_PAGE)))
    elif folder:
        say(str(reports.write_folder(judged_again(store, wanted), folder)))
    else:
        say(str(publish(store, wanted, page or out / "report.html")))
    return 0
