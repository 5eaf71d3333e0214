"""JSON as a whole text, or objects of it somewhere in one, found and read as promptfoo does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from suites.errors import SuiteError
from suites.parse import parse_yaml

COMMENT = re.compile(r"(?<!\S)//.*")
MAX_OBJECT = 100_000
MAX_READ = 1_000_000
"""Characters read in search of objects, so that an answer of nothing but braces ends."""


def strict_json(text: str) -> object:
    """Return the data of a text that is JSON as JavaScript reads it; raises ValueError, or RecursionError, if not."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield every outermost object; where braces hold none, those inside them are looked at."""
    closing = _closing(text)
    start, room = text.find("{"), MAX_READ
    while start >= 0 and room > 0:
        end = min(closing.get(start, len(text)), start + MAX_OBJECT)
        piece = text[start:end]
        room -= len(piece)
        data = _read(piece + "}" * _open(piece)) if len(piece) > 1 else None
        if data is not None:
            yield data
        start = text.find("{", start + 1 if data is None else end)


def _closing(text: str) -> dict[int, int]:
    """Return for each brace that is closed the place after its end; braces inside quotes count too."""
    places: dict[int, int] = {}
    stack: list[int] = []
    for place, letter in enumerate(text):
        if letter == "{":
            stack.append(place)
        elif letter == "}" and stack:
            places[stack.pop()] = place + 1
    return places


def _open(piece: str) -> int:
    return max(piece.count("{") - piece.count("}"), 0)


def _read(piece: str) -> dict[str, Any] | None:
    """Return the mapping that the text is, None if it is none."""
    try:
        data: object = json.loads(piece)
    except (ValueError, RecursionError):
        try:
            data = parse_yaml(COMMENT.sub("", piece), "answer").data
        except SuiteError:
            return None
    return data if isinstance(data, dict) else None
