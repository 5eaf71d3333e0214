"""Write down how far a run is, once a second at most, for whoever wants to watch it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

from harness import drafts
from harness.errors import HarnessError
from harness.live import FILE, Piece, Sign
from harness.progress import Progress
from harness.schedules import utc_now
from harness.schedules.lease import mine

WRITTEN_EVERY_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 10.0
"""Written at least this often, though nothing has changed: long work may have nothing to say."""
MOST_OVER = 40
"""Pieces that are over and still told of, so that the file stays small."""


class Telling:
    """A Progress that hands everything on and remembers it."""

    def __init__(self, plan: str, progress: Progress) -> None:
        me = mine(utc_now)
        self.progress = progress
        self.sign = Sign(plan, "running", me.pid, me.process_started, me.place, me.taken, me.taken, 0, None, ())
        self.begun: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        name, _, how = what.partition(": ")
        moment = time.monotonic()
        if done == 0 or name not in self.begun:
            self.begun[name] = moment
        piece = Piece(name, how, done, total, moment - self.begun[name])
        if done < total:
            self.sign = replace(self.sign, now=piece)
        else:
            self.sign = replace(self.sign, now=None, over=(*self.sign.over, piece)[-MOST_OVER:])
        self.progress(what, done, total)

    def ended(self, job: str, exit_code: int) -> None:
        """What the run came to."""
        self.sign = replace(self.sign, state="ended", job=job, exit_code=exit_code)


@contextmanager
def told(out: Path, plan: str, progress: Progress) -> Iterator[Telling]:
    """Keep the file of a results folder up to date for as long as a run lasts, and say there how it ended."""
    telling, over = Telling(plan, progress), threading.Event()
    thread = threading.Thread(target=_keep_writing, args=(telling, out, over), name="live", daemon=True)
    thread.start()
    try:
        yield telling
    except BaseException as error:
        note = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        telling.sign = replace(telling.sign, state="stopped", note=note)
        raise
    finally:
        over.set()
        thread.join()
        _write(telling.sign, out)


def _keep_writing(telling: Telling, out: Path, over: threading.Event) -> None:
    written, moment = None, -SIGN_OF_LIFE_SECONDS
    while not over.wait(WRITTEN_EVERY_SECONDS):
        sign, now = telling.sign, time.monotonic()
        if sign is not written or now - moment >= SIGN_OF_LIFE_SECONDS:
            _write(sign, out)
            written, moment = sign, now


def _write(sign: Sign, out: Path) -> None:
    """A folder that is not there yet is made by who has results; a run goes on whether or not it can be watched."""
    import psutil

    if out.is_dir():
        said = replace(sign, renewed=utc_now(), memory_bytes=psutil.Process().memory_info().rss)
        with suppress(HarnessError):
            drafts.write(out / FILE, [json.dumps(asdict(said), default=str)])
