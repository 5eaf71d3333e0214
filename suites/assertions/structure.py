"""The form of the answer: is-json."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from suites.assertions import Check, found, shown
from suites.assertions.pattern import Regex, search
from suites.errors import SuiteError
from suites.parse import parse_yaml
from suites.reply import Reply

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


@dataclass(frozen=True)
class IsJson:
    """The whole answer is JSON, and fits a JSON Schema (draft 7 unless it names another) where one is given."""

    value: object = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if self.value is not None:
            _validator(_schema(self.value))

    def check(self, answer: Reply, original: Reply | None) -> Check:
        try:
            data = json.loads(answer.text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            return found("is-json", False, f"the answer {shown(answer.text)} is not JSON: {error}")
        if self.value is None:
            return found("is-json", True, "the answer is JSON")
        fault = _fault(self.value, data)
        return found("is-json", fault is None, f"the answer is JSON {fault or 'and fits the schema'}")


def _schema(value: object) -> str:
    """Return the schema as JSON text; the value is a mapping, or YAML text of one."""
    data = parse_yaml(value, "schema").data if isinstance(value, str) else value
    if not isinstance(data, dict):
        raise SuiteError("is-json: the value must be a JSON Schema, a mapping")
    return json.dumps(data, sort_keys=True)


@functools.lru_cache(maxsize=256)
def _validator(schema_text: str) -> Validator:
    """Return a validator that opens no address and whose patterns end in time; raises SuiteError for a bad schema."""
    import jsonschema
    import referencing

    schema = json.loads(schema_text)
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise SuiteError(f"is-json: not a JSON Schema: {shown(error.message)} at {error.json_path}") from error
    _check_inside(schema, schema)
    extended: type[Validator] = jsonschema.validators.extend(kind, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return extended(schema, registry=referencing.Registry(), format_checker=kind.FORMAT_CHECKER)


def _check_inside(part: object, schema: dict[str, Any]) -> None:
    """Refuse references that lead out of the schema or nowhere, and patterns that are none."""
    import referencing
    import referencing.exceptions
    from referencing.jsonschema import DRAFT7

    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            resource = referencing.Resource.from_contents(schema, default_specification=DRAFT7)
            resolver = referencing.Registry().with_resource("urn:schema", resource).resolver("urn:schema")
            try:
                resolver.lookup(reference)
            except referencing.exceptions.Unresolvable as error:
                raise SuiteError(f"is-json: $ref {shown(reference)} is not in the schema") from error
        if isinstance(pattern := part.get("pattern"), str):
            Regex(pattern)
        if "patternProperties" in part:
            raise SuiteError("is-json: patternProperties is not supported")
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _check_inside(inner, schema)


def _pattern(validator: Validator, pattern: str, instance: object, schema: object) -> Iterator[Exception]:
    import jsonschema

    if isinstance(instance, str) and search(pattern, instance) is None:
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _fault(value: object, data: Any) -> str | None:
    """Return where and how the data breaks the schema, None if it fits."""
    import jsonschema

    try:
        error = jsonschema.exceptions.best_match(_validator(_schema(value)).iter_errors(data))
    except RecursionError as loop:
        raise SuiteError("is-json: the schema refers to itself without end, or the answer is nested too deep") from loop
    return None if error is None else f"but at {error.json_path}: {shown(error.message)}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


TYPES: dict[str, type] = {"is-json": IsJson}
