"""The file that says whom to tell. Secrets stand in environment variables; the file has only their names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, RootModel, model_validator

from harness.errors import HarnessError
from harness.notices import Occasion
from harness.plan_models import Line, Part
from suites.document import read, validated
from suites.errors import SuiteError

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""Name of an environment variable, not the secret itself."""
Address = Annotated[str, Field(pattern=r"^[^\s@<>,]+@[^\s@<>,]+$")]
USUALLY: tuple[Occasion, ...] = ("REGRESSION", "ERROR", "DRIFT", "RECOVERED")


class Webhook(Part):
    """A POST of {"text": ...}, as Slack and its likes take it."""

    url_env: Variable
    token_env: Variable | None = None
    """Sent as bearer token."""


class Mail(Part):
    """Plain text by SMTP."""

    server: Line
    port: int = Field(default=587, gt=0, lt=65536)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Line | None = None
    password_env: Variable | None = None
    sender: Address
    to: list[Address] = Field(min_length=1)

    @model_validator(mode="after")
    def _both_or_none(self) -> Mail:
        if (self.user is None) != (self.password_env is None):
            raise ValueError("give both 'user' and 'password_env', or neither")
        return self


class Channel(Part):
    """One way to tell, and when. command: a program and its arguments; it gets the notice as JSON."""

    webhook: Webhook | None = None
    mail: Mail | None = None
    command: list[Line] | None = Field(default=None, min_length=1)
    on: list[Occasion] = Field(default=list(USUALLY), min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> Channel:
        if [self.webhook, self.mail, self.command].count(None) != 2:
            raise ValueError("give exactly one of 'webhook', 'mail' and 'command'")
        return self

    @property
    def name(self) -> str:
        """How errors call it; never a secret."""
        if self.webhook:
            return f"webhook {self.webhook.url_env}"
        return f"mail to {', '.join(self.mail.to)}" if self.mail else f"command {(self.command or [''])[0]}"


class Channels(RootModel[list[Channel]]):
    """The whole file."""


def load_channels(path: Path) -> list[Channel]:
    """Raises HarnessError with every fault of the file."""
    try:
        return validated(read(path), Channels).root
    except SuiteError as error:
        raise HarnessError(str(error)) from error


def secret(variable: str) -> str:
    """The value of an environment variable. Raises HarnessError, with the name alone, if it is not set."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise HarnessError(f"the environment variable {variable} is not set")
    return value
