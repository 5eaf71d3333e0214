"""JSON Schema as assertions use it: no address is opened, and every pattern ends in time."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from suites.assertions import shown
from suites.assertions.pattern import Regex, search
from suites.errors import SuiteError
from suites.parse import parse_yaml

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


def schema_text(value: object) -> str:
    """Return a schema as JSON text; the value is a mapping, or YAML text of one. Raises SuiteError for a bad one."""
    data = parse_yaml(value, "schema").data if isinstance(value, str) else value
    if not isinstance(data, dict):
        raise SuiteError("the value must be a JSON Schema, a mapping")
    text = json.dumps(data, sort_keys=True)
    _validator(text)
    return text


def fault(schema: str, data: Any) -> str | None:
    """Return where and how the data breaks the schema, None if it fits. schema: as `schema_text` returns it."""
    import jsonschema

    try:
        error = jsonschema.exceptions.best_match(_validator(schema).iter_errors(data))
    except RecursionError as loop:
        raise SuiteError("the schema refers to itself without end, or the answer is nested too deep") from loop
    return None if error is None else f"at {error.json_path}: {shown(error.message)}"


@functools.lru_cache(maxsize=256)
def _validator(schema: str) -> Validator:
    import jsonschema
    import referencing

    data = json.loads(schema)
    kind = jsonschema.validators.validator_for(data, default=jsonschema.Draft7Validator)
    try:
        kind.check_schema(data)
    except jsonschema.SchemaError as error:
        raise SuiteError(f"not a JSON Schema: {shown(error.message)} at {error.json_path}") from error
    _check_inside(data, data)
    extended: type[Validator] = jsonschema.validators.extend(kind, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return extended(data, registry=referencing.Registry(), format_checker=kind.FORMAT_CHECKER)


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
                raise SuiteError(f"$ref {shown(reference)} is not in the schema") from error
        if isinstance(pattern := part.get("pattern"), str):
            Regex(pattern)
        if "patternProperties" in part:
            raise SuiteError("patternProperties is not supported")
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _check_inside(inner, schema)


def _pattern(validator: Validator, pattern: str, instance: object, schema: object) -> Iterator[Exception]:
    import jsonschema

    if isinstance(instance, str) and search(pattern, instance) is None:
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")
