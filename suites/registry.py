"""Prompts of PromptLayer's registry, as they were when they were brought: a file each, beside the suite.

A suite asks the network for nothing: what it asks its models is in its folder, and changes when somebody brings it
again.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from suites.document import read, validated
from suites.errors import SuiteError
from suites.form import MessagePart, PromptPart, SuitePart
from suites.prompts import Prompt

REGISTRY = "promptlayer://"
FOLDER = "promptlayer"
MAX_ADDRESS = 80
"""Characters; the name of a file is made of them, three for some of them."""
NAME, VERSION = "promptlayer_prompt", "promptlayer_version"
"""Metadata of a case that say which prompt it asks."""


class Frozen(BaseModel):
    """A prompt as it was brought; templates in the form of a suite's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    version: int
    messages: list[MessagePart] = Field(min_length=1)


def addresses(file: Path) -> list[str]:
    """Return the registry prompts that a suite file names, each once; raises SuiteError for a file that is no suite."""
    root = validated(read(file), SuitePart).prompts.root
    listed = [root] if isinstance(root, str) else list(root)
    texts = [entry.text if isinstance(entry, PromptPart) else entry for entry in listed]
    return list(dict.fromkeys(text for text in texts if text.startswith(REGISTRY)))


def named(address: str) -> tuple[str, str]:
    """Return name and label, or number of a version, of an address; the label is empty for the newest version."""
    name, _, label = address.removeprefix(REGISTRY).partition("@")
    if not name or len(address) > MAX_ADDRESS:
        raise SuiteError(f"{address[:MAX_ADDRESS]!r} names no prompt; write {REGISTRY}NAME@LABEL")
    return name, label


def file_of(address: str, folder: Path) -> Path:
    """Return where a prompt is kept. folder: that of the suite."""
    name, label = named(address)
    return folder / FOLDER / f"{quote(f'{name}@{label}' if label else name, safe='@ ')}.json"


def frozen(address: str, folder: Path) -> Prompt:
    """Return the prompt as it was brought. Raises SuiteError if it was not, or its file is not one of these."""
    file = file_of(address, folder)
    if not file.is_file():
        raise SuiteError(f"{address} is not here yet; `secateur suite pull FILE` brings it")
    kept = validated(read(file), Frozen)
    messages = [message.model_dump() for message in kept.messages]
    return Prompt(json.dumps(messages), origin=((NAME, kept.name), (VERSION, kept.version)))
