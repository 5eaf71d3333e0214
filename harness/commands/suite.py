"""secateur suite: look at prompt suites, ask one model, make a suite from a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from harness.commands.choice import choice, chosen_of
from harness.commands.permissions import given, permissions
from harness.commands.saying import say
from harness.commands.suite_run import command as run


@click.group("suite", short_help="Check, list, show and run prompt suites; make one from a table.")
def command() -> None:
    """Prompt suites: promptfoo's format, or names of those that come with the package."""


command.add_command(run)


@command.command("check", short_help="Is a suite file right, and what is in it?")
@click.argument("file", metavar="FILE|NAME")
@permissions
def check(file: str) -> int:
    """Load a suite file (or a built-in suite by name) and say what is in it; every fault is listed with its line."""
    import suites
    from suites.advice import KINDS

    for note in suites.check(file, given(KINDS)):
        say(note)
    return 0


@command.command("list", short_help="Which suites come with the package?")
def list_() -> int:
    """List the built-in suites: how many cases each has, and what it is about."""
    import suites

    for name in suites.names():
        suite = suites.load(name)
        say(f"{name:24} {len(suite.cases):>5} cases  {suite.description}")
    return 0


@command.command("show", short_help="What does a suite ask, and what counts as right?")
@click.argument("file", metavar="FILE|NAME")
@choice
@permissions
def show(file: str, out: Path) -> int:
    """Show the cases of a suite as they are asked: messages with vars filled in, assertions, tags."""
    import suites
    from suites.advice import KINDS
    from suites.showing import shown

    suite = suites.load(file, given(KINDS))
    for line in shown(chosen_of(suite, out)):
        say(line)
    return 0


@command.command("pull", short_help="Bring the prompts that a suite takes from PromptLayer.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--api-key-env", default="PROMPTLAYER_API_KEY", show_default=True, help="The variable that holds the key."
)
def pull(file: Path, api_key_env: str) -> int:
    """Bring every `promptlayer://NAME@LABEL` among the prompts of FILE into a folder beside it, as it is now.

    The suite asks what lies there until it is brought again, so that yesterday's results can be compared with today's.
    """
    from harness.telling.registry import pulled

    for line in pulled(file, api_key_env):
        say(line)
    return 0


@command.command("from-promptlayer", short_help="Make a suite from requests in PromptLayer's history.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="Only with this tag; may be repeated.")
@click.option(
    "--metadata", type=(str, str), metavar="KEY VALUE", multiple=True, help="Only with this metadata; the same."
)
@click.option("--most", type=click.IntRange(1, 1000), default=100, show_default=True, help="The newest so many.")
@click.option("--redact", metavar="REGEX", multiple=True, help="Black out what this finds; may be repeated.")
@click.option("--type", "type_", help="How an answer is held against the logged one; else nothing is asserted.")
@click.option(
    "--api-key-env", default="PROMPTLAYER_API_KEY", show_default=True, help="The variable that holds the key."
)
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; else it is printed.")
def from_promptlayer(
    tags: tuple[str, ...],
    metadata: tuple[tuple[str, str], ...],
    most: int,
    redact: tuple[str, ...],
    type_: str | None,
    api_key_env: str,
    to: Path | None,
) -> int:
    """Write a suite in YAML that asks again what was asked: a case for every chat in the history, each once."""
    from harness.telling.requests import Wanted, remembered

    return _written(remembered(Wanted(api_key_env, tags, metadata, most, redact, type_)), to)


@command.command("from-csv", short_help="Make a suite from a table of questions and answers.")
@click.argument("table", metavar="FILE.csv", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--prompt", default="{{ prompt }}", show_default=True, help="What is asked, with columns as vars.")
@click.option("--expected", metavar="COLUMN", help="The column with the right answer.")
@click.option("--type", "type_", default="icontains", show_default=True, help="How the answer is held against it.")
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), help="The file to write; else it is printed.")
def from_csv(table: Path, prompt: str, expected: str | None, type_: str, to: Path | None) -> int:
    """Write a suite in YAML with a test for every row. Columns such as __expected mean what they mean in promptfoo."""
    from suites.conversion import Conversion, converted

    return _written(converted(table, Conversion(prompt, expected, type_)), to)


def _written(pieces: Iterator[str], to: Path | None) -> int:
    """Write a suite that was made, where nothing is yet, or print it."""
    from harness import drafts
    from harness.errors import HarnessError

    if to is None:
        for piece in pieces:
            click.echo(piece, nl=False)
        return 0
    if to.exists():
        raise HarnessError(f"{to} is there already; remove it or choose another name")
    drafts.write(to, pieces)
    say(f"{to}: `secateur suite check {to}` says what is in it")
    return 0
