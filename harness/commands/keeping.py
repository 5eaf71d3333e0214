"""Options that several commands have in common: kept with the running command, and no arguments of its function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def kept(group: str, name: str, **more: Any) -> Callable[[Command], Command]:
    """An option whose value `said` tells, under its own name."""

    def keep_(context: click.Context, parameter: click.Parameter, value: object) -> None:
        context.meta.setdefault(group, {})[parameter.name] = value

    return click.option(name, expose_value=False, callback=keep_, **more)


def said(group: str) -> dict[str, Any]:
    """What was given to the running command, by option."""
    found: dict[str, Any] = click.get_current_context().meta.get(group, {})
    return found


def given_all(command: Command, options: Sequence[Callable[[Any], Any]]) -> Command:
    """The command with these options, which its help lists in this order."""
    for option in reversed(options):
        command = option(command)
    return command
