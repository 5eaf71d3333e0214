"""secateur outbox: what waits to be sent, what was refused, and what to do with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.saying import say

if TYPE_CHECKING:
    from harness.stores.outbox import Outbox, State

OUT = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True, help="Where results are."
)


@click.group("outbox", short_help="What waits to be sent, and what was refused.")
def command() -> None:
    """Letters to PromptLayer or a collector: written with each verdict, sent by `sync` or at the end of `run`."""


@command.command("ls", short_help="Count letters, and list the refused ones.")
@OUT
def listing(out: Path) -> int:
    """Count letters by account, kind and state, and say why each of the refused ones was refused."""
    outbox = _opened(out)
    census = outbox.census()
    for one in census:
        said = f"  {one.error}" if one.error else ""
        say(f"{one.account:24}{one.kind:12}{one.state:10}{one.letters:6}{said}")
    for name, what, why in outbox.refused():
        say(f"refused: {name}  {what}: {why}")
    if not census:
        say("no letters: a plan with `promptlayer` or `otlp` writes some with each verdict")
    return 0


@command.command("retry", short_help="Let refused letters be sent again.")
@click.argument("letter", metavar="[ID]", required=False)
@OUT
def retry(letter: str | None, out: Path) -> int:
    """Put the refused letter with this id (or its start) back, or all of them; `secateur sync` sends them."""
    from harness.errors import HarnessError

    letters = _opened(out).retry(letter)
    if letter is not None and letters == 0:
        raise HarnessError(f"no refused letter starts with {letter!r}; `secateur outbox ls` lists them")
    say(f"{letters} letters wait again")
    return 0


@command.command("purge", short_help="Forget letters that are done with.")
@click.option("--dead", is_flag=True, help="Also jobs of which something was refused.")
@click.option("--all", "everything", is_flag=True, help="Also what still waits: it will never be sent.")
@OUT
def purge(dead: bool, everything: bool, out: Path) -> int:
    """Forget the letters of every job of which all were sent. Results and verdicts stay."""
    states: list[State] = ["sent"]
    if dead or everything:
        states += ["dead", "skipped"]
    if everything:
        states += ["pending", "inflight"]
    say(f"{_opened(out).purge(states)} letters forgotten")
    return 0


def _opened(out: Path) -> Outbox:
    from harness.history import opened
    from harness.stores.outbox import Outbox

    return Outbox(opened(out).file)
