"""Sharing: what of a result may leave this machine for PromptLayer, and what is blacked out before it does."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field, field_validator

REDACTED = "[redacted]"
SECONDS = 1.0
"""For one pattern on one text; past it the whole text is blacked out."""
DEFAULT_ACCOUNT = "PROMPTLAYER_API_KEY"
VARIABLE = r"[A-Z_][A-Z0-9_]*"

Tag = Annotated[str, Field(min_length=1, max_length=512)]


class Sharing(BaseModel):
    """The plan's `promptlayer`. The API key is never in the plan: `api_key_env` names the variable that holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    send: Literal["flips", "all", "none"] = "flips"
    """flips: the cases that pass on one side only. all: every case of every suite."""
    sample: int | None = Field(default=None, gt=0)
    """At most so many cases of a candidate: losses first, then gains, then the rest in an order that never changes."""
    max_requests: int = Field(default=2000, gt=0)
    """At most so many requests to PromptLayer at the end of one run; what is left waits for `secateur sync`."""
    tables: bool = True
    """False: requests only, for a workspace without tables."""
    tags: list[Tag] = []
    redact: list[str] = []
    """Regular expressions; what they find in prompts, variables and answers is replaced."""
    report_url: str | None = Field(default=None, pattern=r"^https?://\S+$", max_length=1024)
    """Where the page can be read, so that PromptLayer leads back to it."""
    api_key_env: str = DEFAULT_ACCOUNT

    @property
    def patterns(self) -> list[str]:
        """What to black out: also the key itself, should a prompt hold it."""
        key = os.environ.get(self.api_key_env, "").strip()
        return [*self.redact, *([regex.escape(key)] if key else [])]

    def line(self) -> str:
        """What would be sent, and whether it could be."""
        most = f", at most {self.sample} cases a candidate" if self.sample else ""
        known = "is set" if os.environ.get(self.api_key_env) else "is not set, so letters would wait"
        return f"send {self.send}{most}; {self.api_key_env} {known}"

    @field_validator("api_key_env", mode="before")
    @classmethod
    def _a_name(cls, value: object) -> object:
        # The value is not repeated in the message: it may be the key itself.
        if not isinstance(value, str) or not re.fullmatch(VARIABLE, value):
            raise ValueError(
                f"must name an environment variable, such as {DEFAULT_ACCOUNT}; never write the key itself"
            )
        return value

    @field_validator("redact")
    @classmethod
    def _patterns(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                regex.compile(pattern)
            except (regex.error, ValueError, OverflowError, RecursionError) as error:
                raise ValueError(f"pattern {pattern!r} is not valid: {error}") from error
        return patterns


def redacted(text: str, patterns: Sequence[str]) -> str:
    """The text with every match of every pattern replaced; all of it where a pattern takes too long to tell."""
    try:
        for pattern in patterns:
            text = regex.sub(pattern, REDACTED, text, timeout=SECONDS)
    except TimeoutError:
        return REDACTED
    return text
