"""secateur recipes: packaged recipes, one by one."""

from __future__ import annotations

import click

from harness.commands.saying import say


@click.command("recipes", short_help="List the recipes that come with the package.")
def command() -> int:
    """List the recipes that come with the package, with what they do; their names go after --recipe and into plans."""
    from harness.candidates.catalogue import recipe_catalogue

    say("\n".join(recipe_catalogue()))
    return 0
