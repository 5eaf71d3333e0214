"""The options that choose some of a suite's cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.keeping import Command, given_all, kept, said

if TYPE_CHECKING:
    from suites import Case, Suite

KEPT = "secateur.choice"


def choice(command: Command) -> Command:
    """Give a command these options, and --out; `chosen_of` says what they choose. Only --out is an argument."""
    return given_all(command, OPTIONS)


def chosen_of(suite: Suite, out: Path) -> tuple[Case, ...]:
    """The cases that the options of the running command choose. out: the results in which --failing-in looks."""
    from suites import Choice, chosen

    given = said(KEPT)
    among = None
    if given["failing_in"] is not None:
        from harness.history import opened
        from harness.marking import failing

        among = failing(opened(out), given["failing_in"], suite)
    return chosen(suite, Choice(given["tag"], given["case"], given["sample"], given["first"]), among)


COUNT = click.IntRange(min=1)
OPTIONS = (
    kept(KEPT, "--tag", help="Only cases with this tag; may be repeated.", multiple=True, metavar="TAG"),
    kept(KEPT, "--case", help="Only this case, or those like json-*; may be repeated.", multiple=True, metavar="ID"),
    kept(KEPT, "--sample", help="Only so many, drawn at random, the same every time.", type=COUNT, metavar="N"),
    kept(KEPT, "--first", help="Only the first so many of those.", type=COUNT, metavar="N"),
    kept(KEPT, "--failing-in", help="Only cases that failed in this stored run.", metavar="RUN"),
    click.option(
        "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
    ),
)
