"""secateur view: look at the results, and follow a run while it goes on."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.saying import say
from harness.commands.site import newest


@click.command("view", short_help="Look at all results in a browser, live while a run goes on.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="[default: a free one]")
@click.option("--open/--no-open", "show", default=True, help="Open the browser.  [default: open]")
@newest
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(out: Path, port: int, show: bool, reports: int, quiet: bool) -> int:
    """Serve the site of a results folder to this machine, draw it again when results come, until Ctrl-C.

    The pages are in OUT/site. A run is followed by the file OUT/progress.json, from another machine too where the
    folder is on a shared disk.
    """
    import webbrowser

    from harness.errors import HarnessError
    from harness.live.watching import going, seen
    from harness.progress import shown
    from harness.schedules import utc_now
    from harness.site.serving import served
    from harness.site.viewing import LIVE, Viewed, pages, watch

    if not out.is_dir():
        raise HarnessError(f"no results folder {out}: `secateur run PLAN` makes one; --out names another")
    with shown(quiet) as progress:
        viewed = Viewed(out, reports, progress, lambda line: say(line, err=True))
        sign = seen(out)
        with served(pages(viewed), port) as address:
            start = address + (LIVE if sign and going(sign, utc_now) else "")
            say(f"{start} (Ctrl-C ends it)")
            if show:
                webbrowser.open(start)
            try:
                watch(viewed)
            except KeyboardInterrupt:
                say("ended")
    return 0
