"""The options by which who runs a command lets its suites do more than ask and compare."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from suites import Allowance

KEPT = "secateur.permissions"
Command = TypeVar("Command", bound=Callable[..., Any])


def permissions(command: Command) -> Command:
    """Give a command these options; `given` says what they say. They are no arguments of its function."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def given(more: Collection[str] = ()) -> Allowance:
    """What the options of the running command allow. more: what assertions may need besides the facts of an answer."""
    from harness.records import GIVEN
    from suites import Allowance

    said = click.get_current_context().meta.get(KEPT, {})
    return Allowance(
        code=said["allow_code"],
        skip_unsupported=said["skip_unsupported"],
        known=GIVEN | set(more),
        outside=said["allow_outside"],
        env=frozenset(said["allow_env"]),
    )


def _keep_(context: click.Context, parameter: click.Parameter, value: object) -> None:
    context.meta.setdefault(KEPT, {})[parameter.name] = value


OPTIONS = (
    click.option(
        "--skip-unsupported",
        is_flag=True,
        expose_value=False,
        callback=_keep_,
        help="Count assertions that cannot be checked here as not checked, instead of refusing the suite.",
    ),
    click.option(
        "--allow-code",
        is_flag=True,
        expose_value=False,
        callback=_keep_,
        help="Let suites run their Python code; only if you trust their author.",
    ),
    click.option(
        "--allow-outside",
        is_flag=True,
        expose_value=False,
        callback=_keep_,
        help="Let suites name files outside their own folder.",
    ),
    click.option(
        "--allow-env",
        metavar="NAME",
        multiple=True,
        expose_value=False,
        callback=_keep_,
        help="Let templates read this environment variable, as env.NAME. May be given several times.",
    ),
)
