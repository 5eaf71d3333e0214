"""secateur methods: methods, budget and recovery rules, one by one."""

from __future__ import annotations

import click

from harness.commands.saying import say


@click.command("methods", short_help="List methods, budget and recovery rules with their options.")
def command() -> int:
    """List methods, budget and recovery rules: what they remove, what they read, and their options."""
    from harness.candidates.catalogue import method_catalogue

    say("\n".join(method_catalogue()))
    return 0
