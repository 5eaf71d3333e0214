"""secateur methods: methods and budget rules, one by one."""

from __future__ import annotations

import click


@click.command("methods", short_help="List methods and budget rules with their options.")
def command() -> int:
    """List methods and budget rules: what they remove, what they read of the calibration text, and their options."""
    from harness.catalogue import method_catalogue

    click.echo("\n".join(method_catalogue()))
    return 0
