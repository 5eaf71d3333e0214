"""The options that choose some of a suite's cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from suites import Case, Suite

KEPT = "secateur.choice"
Command = TypeVar("Command", bound=Callable[..., Any])


def choice(command: Command) -> Command:
    """Give a command these options, and --out; `chosen_of` says what they choose. Only --out is an argument."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def chosen_of(suite: Suite, out: Path) -> tuple[Case, ...]:
    """The cases that the options of the running command choose. out: the results in which --failing-in looks."""
    from suites import Choice, chosen

    said = click.get_current_context().meta[KEPT]
    among = None
    if said["failing_in"] is not None:
        from harness.history import opened
        from harness.marking import failing

        among = failing(opened(out), said["failing_in"], suite)
    return chosen(suite, Choice(said["tag"], said["case"], said["sample"], said["first"]), among)


def _keep_(context: click.Context, parameter: click.Parameter, value: object) -> None:
    context.meta.setdefault(KEPT, {})[parameter.name] = value


def _option(name: str, help: str, **more: Any) -> Callable[[Command], Command]:
    return click.option(name, help=help, expose_value=False, callback=_keep_, **more)


COUNT = click.IntRange(min=1)
OPTIONS = (
    _option("--tag", "Only cases with this tag; may be given several times.", multiple=True, metavar="TAG"),
    _option("--case", "Only this case, or those like json-*; may be given several times.", multiple=True, metavar="ID"),
    _option("--sample", "Only so many, drawn at random, the same every time.", type=COUNT, metavar="N"),
    _option("--first", "Only the first so many of those.", type=COUNT, metavar="N"),
    _option("--failing-in", "Only cases that failed in this stored run.", metavar="RUN"),
    click.option(
        "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
    ),
)
