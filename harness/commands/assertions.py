"""secateur assertions: what a suite can check, type by type."""

from __future__ import annotations

import click

from harness.commands.saying import say


@click.command("assertions", short_help="List the assertion types of suites.")
def command() -> int:
    """List the assertion types of suites, a line each: options ([may be left out]) and what is checked."""
    from suites.glossary import glossary

    say("\n".join(glossary()))
    return 0
