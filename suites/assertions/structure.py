"""JSON: the answer as a whole, or somewhere in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, shown
from suites.errors import SuiteError
from suites.json_schema import fault, schema_text
from suites.parse import parse_yaml
from suites.reply import Reply

COMMENT = re.compile(r"(?<!\S)//.*")
MAX_OBJECT = 100_000
MAX_READ = 1_000_000
"""Characters read in search of objects, so that an answer of nothing but braces ends."""


@dataclass(frozen=True)
class IsJson:
    """The whole answer is JSON, and fits a JSON Schema (draft 7 unless it names another) where one is given."""

    value: object = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _schema("is-json", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        try:
            data = json.loads(answer.text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            return found("is-json", False, f"the answer {shown(answer.text)} is not JSON: {error}")
        broken = _broken("is-json", self.value, data)
        fits = "" if self.value is None else " and fits the schema"
        return found("is-json", broken is None, f"the answer is JSON{fits if broken is None else f' but {broken}'}")


@dataclass(frozen=True)
class ContainsJson:
    """Somewhere in the answer is a JSON object, one that fits a JSON Schema where one is given.

    Objects are what stands between balanced braces, at most 100,000 characters of it, and reads as JSON or as YAML's
    braces, with comments after two slashes; braces that are open at the end of the answer are closed.
    """

    value: object = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _schema("contains-json", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        broken = f"there is no JSON object in the answer {shown(answer.text)}"
        for data in _objects(answer.text):
            why = _broken("contains-json", self.value, data)
            if why is None:
                return found("contains-json", True, f"the answer contains the object {shown(json.dumps(data))}")
            broken = f"no object in the answer fits the schema: {why}"
        return found("contains-json", False, broken)


def _schema(type: str, value: object) -> str | None:
    if value is None:
        return None
    try:
        return schema_text(value)
    except SuiteError as error:
        raise SuiteError(f"{type}: {error}") from error


def _broken(type: str, value: object, data: object) -> str | None:
    schema = _schema(type, value)
    try:
        return None if schema is None else fault(schema, data)
    except SuiteError as error:
        raise SuiteError(f"{type}: {error}") from error


def _objects(text: str) -> Iterator[object]:
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


def _read(piece: str) -> object | None:
    """Return the mapping that the text is, None if it is none."""
    try:
        data: object = json.loads(piece)
    except (ValueError, RecursionError):
        try:
            data = parse_yaml(COMMENT.sub("", piece), "answer").data
        except SuiteError:
            return None
    return data if isinstance(data, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


TYPES: dict[str, type] = {"contains-json": ContainsJson, "is-json": IsJson}
