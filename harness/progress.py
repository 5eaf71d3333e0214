"""How far long work is: bars on a terminal, plain lines elsewhere.

Both are called as (what, done, total). Behind ": " in `what` may stand how it goes, which changes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from reports.visible import visible

Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass
class Lines:
    """A line when a piece of work starts, ends, and every `every_seconds` in between."""

    every_seconds: float = 15.0
    started: dict[str, float] = field(default_factory=dict)
    spoken: dict[str, float] = field(default_factory=dict)

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        name, _, state = what.partition(": ")
        more = f", {state}" if state else ""
        if name not in self.started:
            self.started[name] = self.spoken[name] = now
            self._say(f"{name} ...")
        if done >= total:
            self._say(f"{name}: done in {now - self.started.pop(name):.1f} s{more}")
        elif now - self.spoken[name] > self.every_seconds:
            self.spoken[name] = now
            left = (now - self.started[name]) / max(done, 1) * (total - done)
            self._say(f"{name}: {done}/{total}, {left:.0f} s left{more}")

    @staticmethod
    def _say(line: str) -> None:
        print(visible(line), file=sys.stderr, flush=True)


@contextmanager
def shown(quiet: bool) -> Iterator[Progress]:
    """Progress for the length of a command, on standard error."""
    if quiet:
        yield silent
    elif not sys.stderr.isatty():
        yield Lines()
    else:
        with _bars() as bars:
            yield bars


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            name, said = what.partition(": ")[0], visible(what)
            if name not in tasks:
                tasks[name] = bars.add_task(said, total=total)
            bars.update(tasks[name], completed=done, total=total, description=said)
            if done >= total:
                bars.stop_task(tasks.pop(name))

        yield show


def named(progress: Progress, what: str) -> Progress:
    """The same progress under one name, whatever the work calls itself."""
    return lambda _, done, total: progress(what, done, total)
