"""JSON: the answer as a whole, or somewhere in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, shown
from suites.errors import SuiteError
from suites.json_schema import fault, schema_text
from suites.objects import objects, strict_json
from suites.reply import Reply


@dataclass(frozen=True)
class IsJson:
    """The whole answer is JSON, and fits a JSON Schema (draft 7 unless it names another) where one is given."""

    value: object = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _schema("is-json", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        try:
            data = strict_json(answer.text)
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
        for data in objects(answer.text):
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


TYPES: dict[str, type] = {"contains-json": ContainsJson, "is-json": IsJson}
