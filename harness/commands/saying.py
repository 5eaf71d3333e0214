"""What commands say to a person: parts of it come from suites, models and servers, and terminals obey some letters."""

from __future__ import annotations

import click

from reports.visible import visible


def say(text: str, err: bool = False) -> None:
    """Print lines with hidden characters spelt out, so that no colour, title, link or cursor is anyone's but ours.

    What another program reads, such as JSON or YAML, is printed as it is: its own form escapes such characters.
    """
    click.echo(visible(text), err=err)
