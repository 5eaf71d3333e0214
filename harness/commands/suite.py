"""secateur suite check FILE: is a suite right?"""

from __future__ import annotations

import click


@click.group("suite", short_help="Work with prompt suites.")
def command() -> None:
    """Prompt suites: promptfoo-compatible YAML."""


@command.command("check", short_help="Is a suite file right, and what is in it?")
@click.argument("file", metavar="FILE|NAME")
@click.option("--skip-unsupported", is_flag=True, help="Count assertions that cannot be checked here, and go on.")
@click.option("--allow-code", is_flag=True, help="Take Python code in the suite; nothing is run.")
def check(file: str, skip_unsupported: bool, allow_code: bool) -> int:
    """Load a suite file (or a built-in suite by name) and say what is in it; every fault is listed with its line."""
    import suites

    for note in suites.check(file, suites.Allowance(allow_code, skip_unsupported)):
        click.echo(note)
    return 0
