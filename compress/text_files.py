"""Text files of a user: read whole, and JSON lines row by row; every fault names file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.errors import CompressError


@dataclass(frozen=True)
class Row:
    """One row of a data set."""

    place: str
    """For messages: file and line, or data set and number."""
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field that has to hold text. Raises CompressError."""
        found = self.fields.get(name)
        if isinstance(found, str):
            return found
        fault = "no field" if name not in self.fields else f"{type(found).__name__} instead of text in field"
        raise CompressError(f"{self.place}: {fault} '{name}'; fields found: {self.names()}")

    def optional(self, name: str) -> str:
        """Text that may be missing or null."""
        return "" if self.fields.get(name) is None else self.text(name).strip()

    def names(self) -> str:
        """All fields, for messages."""
        return ", ".join(self.fields) or "none"


def read(path: Path, what: str) -> str:
    """The whole text. what: it is, for messages. Raises CompressError on a file that is unreadable or blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CompressError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise CompressError(f"{path}: cannot read {what}: {error.strerror}") from None
    if not text.strip():
        raise CompressError(f"{path}: empty, so there is no {what} in it")
    return text


def texts(path: Path, what: str) -> list[str]:
    """The documents of a text file: parted at blank lines or, where there is none, at line ends. Raises as `read`."""
    text = read(path, what).strip()
    found = re.split(r"\n[^\S\n]*\n\s*", text)
    return found if len(found) > 1 else text.split("\n")


def rows(path: Path, what: str) -> list[Row]:
    """The rows of a JSON-lines file. what: they are, for messages. Raises CompressError naming the line."""
    # Not splitlines: JSON may hold line separators of Unicode.
    lines = read(path, what).split("\n")
    return [_row(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _row(place: str, line: str) -> Row:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise CompressError(f"{place}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise CompressError(f"{place}: expected a JSON object, found {type(found).__name__}")
    return Row(place, found)
