"""Keep a site up to date while it is looked at, and tell how far a run is. The store is never kept open."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.history import STORE, opened
from harness.progress import Progress, silent
from harness.schedules import utc_now
from harness.site.building import FIRST, build
from harness.site.following import followed
from harness.site.serving import Pages, Reply
from reports.site.drawing import NAME, draw
from reports.site.pages import LivePage

FOLDER = "site"
"""In the results folder."""
LIVE = "live.html"
LOOK_SECONDS = 2.0
REST_SECONDS = 10.0
REST_SHARE = 10
"""After the store was read for so long, it is left alone for so many times as long: a run waits while it is read."""


@dataclass(frozen=True)
class Viewed:
    """A results folder that is looked at."""

    out: Path
    newest: int
    """Jobs that get their whole report."""
    progress: Progress
    """Of the first drawing, which may take a while."""
    say: Callable[[str], None]

    @property
    def folder(self) -> Path:
        return self.out / FOLDER

    def state(self) -> tuple[int, int] | None:
        """Changes when the store does; None: there is none yet."""
        try:
            stat = (self.out / STORE).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size

    def refresh(self, progress: Progress = silent) -> None:
        """Draw what has changed; what is in the way is said, and may be gone the next time."""
        try:
            build(opened(self.out), self.folder, self.newest, progress)
        except HarnessError as error:
            self.say(f"the pages are not up to date: {error}")


def pages(viewed: Viewed) -> Pages:
    """The pages of the site, and what a run says now; where there is no site yet, the live page stands for it."""
    live = Reply(draw(LivePage(), LIVE).encode())

    def page(path: str) -> Reply | None:
        if path == "live.json":
            return Reply(json.dumps(followed(viewed.out, utc_now)).encode(), "application/json")
        name = path or FIRST
        if not NAME.fullmatch(name):
            return None
        file = viewed.folder / name
        if file.is_file():
            return Reply(file.read_bytes())
        return live if name in (FIRST, LIVE) else None

    return page


def watch(viewed: Viewed, sleep: Callable[[float], None] = time.sleep) -> None:
    """Refresh whenever the store has changed. Ends by an exception."""
    known, rest_until = None, 0.0
    while True:
        state, now = viewed.state(), time.monotonic()
        if state is not None and state != known and now >= rest_until:
            viewed.refresh(viewed.progress if known is None else silent)
            # Looking is a transaction too, and may touch the file.
            known, took = viewed.state(), time.monotonic() - now
            rest_until = time.monotonic() + max(REST_SECONDS, REST_SHARE * took)
        sleep(LOOK_SECONDS)
