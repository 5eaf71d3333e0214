"""The options that say who is asked about answers where no plan does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from harness.advising.panel import Panel
    from harness.progress import Progress
    from harness.records import ModelSpec
    from suites.advice import Kind

KEPT = "secateur.advisers"
Command = TypeVar("Command", bound=Callable[..., Any])


def advisers(command: Command) -> Command:
    """Give a command these options; `named` and `panel` say what they say. They are no arguments of its function."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def named() -> frozenset[str]:
    """What assertions may need because the options of the running command name somebody to ask."""
    said = click.get_current_context().meta[KEPT]
    return frozenset(kind for kind in ("judge", "embeddings") if said[kind] is not None)


def panel(progress: Progress) -> Panel:
    """Who the options of the running command name."""
    from harness.advising.panel import Panel
    from harness.records import ModelSpec

    said = click.get_current_context().meta[KEPT]
    specs: dict[Kind, ModelSpec] = {}
    if said["judge"] is not None:
        specs["judge"] = _judge(said)
    if said["embeddings"] is not None:
        specs["embeddings"] = ModelSpec("embeddings", said["embeddings"])
    return Panel(specs, progress=progress)


def _judge(said: dict[str, str | None]) -> ModelSpec:
    from pydantic import ValidationError

    from harness.errors import HarnessError
    from harness.plan_models import Model, spec

    given = {"model": said["judge"], "endpoint": said["judge_endpoint"], "api_key_env": said["judge_key_env"]}
    try:
        return spec("judge", Model.model_validate({name: value for name, value in given.items() if value is not None}))
    except ValidationError as error:
        why = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise HarnessError(f"--judge: {why}") from error


def _keep_(context: click.Context, parameter: click.Parameter, value: object) -> None:
    context.meta.setdefault(KEPT, {})[parameter.name] = value


def _option(name: str, metavar: str, help: str) -> Callable[[Command], Command]:
    return click.option(name, metavar=metavar, help=help, expose_value=False, callback=_keep_)


OPTIONS = (
    _option("--judge", "MODEL", "Who grades where an assertion needs a judge: hub id, folder, or a name served at..."),
    _option("--judge-endpoint", "URL", "... this OpenAI-compatible endpoint, up to the version."),
    _option("--judge-key-env", "NAME", "The variable that holds the endpoint's key."),
    _option("--embeddings", "MODEL", "Folder or hub id of the model that compares meanings."),
)
