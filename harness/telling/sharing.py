"""Sharing: what of a result may leave this machine, for PromptLayer or a collector, and what is blacked out before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Literal

import regex
from pydantic import BeforeValidator, Field, field_validator

from harness.plan_models import Part, variable

REDACTED = "[redacted]"
SECONDS = 1.0
"""For one pattern on one text; past it the whole text is blacked out."""
DEFAULT_ACCOUNT = "PROMPTLAYER_API_KEY"


Variable = Annotated[str, BeforeValidator(variable)]
"""Name of an environment variable; secrets are nowhere else."""
Tag = Annotated[str, Field(min_length=1, max_length=512)]


class Selection(Part):
    """Which cases are told of, and how they are blacked out."""

    send: Literal["flips", "all", "none"] = "flips"
    """flips: the cases that pass on one side only. all: every case of every suite."""
    sample: int | None = Field(default=None, gt=0)
    """At most so many cases of a candidate: losses first, then gains, then the rest in an order that never changes."""
    max_requests: int = Field(default=2000, gt=0)
    """At most so many HTTP requests at the end of one run; what is left waits for `secateur sync`."""
    redact: list[str] = Field(default=[])
    """Regular expressions; what they find in prompts, variables and answers is replaced."""

    @field_validator("redact")
    @classmethod
    def _patterns(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                regex.compile(pattern)
            except (regex.error, ValueError, OverflowError, RecursionError) as error:
                raise ValueError(f"pattern {pattern!r} is not valid: {error}") from error
        return patterns

    def hidden(self, secret: str) -> list[str]:
        """What to black out: also what the variable `secret` holds, should a prompt hold it too."""
        value = os.environ.get(secret, "").strip()
        return [*self.redact, *([regex.escape(value)] if value else [])]

    def line(self, variable: str) -> str:
        """What would be sent, and whether it could be: if the variable is set."""
        most = f", at most {self.sample} cases a candidate" if self.sample else ""
        known = "is set" if os.environ.get(variable) else "is not set, so letters would wait"
        return f"send {self.send}{most}; {variable} {known}"


class Sharing(Selection):
    """The plan's `promptlayer`. The API key is never in the plan: `api_key_env` names the variable that holds it."""

    tables: bool = True
    """False: requests only, for a workspace without tables."""
    tags: list[Tag] = Field(default=[])
    report_url: str | None = Field(default=None, pattern=r"^https?://\S+$", max_length=1024)
    """Where the page can be read, so that PromptLayer leads back to it."""
    api_key_env: Variable = DEFAULT_ACCOUNT


class Telemetry(Selection):
    """The plan's `otlp`: traces of cases and metrics of a verdict, for a collector of OpenTelemetry."""

    endpoint_env: Variable = "OTEL_EXPORTER_OTLP_ENDPOINT"
    """Holds the collector's address; v1/traces and v1/metrics are added."""
    headers_env: Variable = "OTEL_EXPORTER_OTLP_HEADERS"
    """Holds "name=value,name=value", values percent-encoded; may be empty."""


def redacted(text: str, patterns: Sequence[str]) -> str:
    """The text with every match of every pattern replaced; all of it where a pattern takes too long to tell."""
    try:
        for pattern in patterns:
            text = regex.sub(pattern, REDACTED, text, timeout=SECONDS)
    except TimeoutError:
        return REDACTED
    return text
