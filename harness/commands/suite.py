"""secateur suite check FILE: is a suite right?"""

from __future__ import annotations

import click

from harness.commands.permissions import given, permissions


@click.group("suite", short_help="Work with prompt suites.")
def command() -> None:
    """Prompt suites: promptfoo-compatible YAML."""


@command.command("check", short_help="Is a suite file right, and what is in it?")
@click.argument("file", metavar="FILE|NAME")
@permissions
def check(file: str) -> int:
    """Load a suite file (or a built-in suite by name) and say what is in it; every fault is listed with its line."""
    import suites

    for note in suites.check(file, given()):
        click.echo(note)
    return 0
