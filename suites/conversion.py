"""A table of questions and right answers -> a suite in YAML, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from suites.assertions import load
from suites.document import Document, suggestion, validated
from suites.errors import SuiteError
from suites.form import CasePart
from suites.tables import parts_in


@dataclass(frozen=True)
class Conversion:
    """How the columns of a table are read that do not say it themselves."""

    prompt: str = "{{ prompt }}"
    """Asked of every row, with the columns as vars."""
    expected: str | None = None
    """The column with the right answer; None: only columns that begin with `__expected` say what is right."""
    type: str = "icontains"
    """The assertion that holds the answer against that column."""


def converted(file: Path, conversion: Conversion) -> Iterator[str]:
    """Yield the text of a suite, piece by piece; raises SuiteError for a table that is wrong."""
    load(conversion.type.removeprefix("not-"))
    yield _yaml({"description": f"made from {file.name}", "prompts": [conversion.prompt]}) + "tests:\n"
    found = False
    for part, place in parts_in(file):
        values = part["vars"]
        if not isinstance(values, dict):
            raise TypeError("the vars of a row are a mapping")
        if conversion.expected is not None:
            if conversion.expected not in values:
                near = suggestion(conversion.expected, values) or ";"
                columns = ", ".join(values) or "none"
                raise SuiteError(f"{file}: no column {conversion.expected!r}{near} there are: {columns}")
            stated = {"type": conversion.type, "value": values.pop(conversion.expected)}
            part = {**part, "assert": [stated, *_stated(part)]}
        validated(Document(place.document.file, part, place.document.marks), CasePart)
        found = True
        yield _yaml([{key: value for key, value in part.items() if value}])
    if not found:
        raise SuiteError(f"{file}: the table has no row")


def _stated(part: dict[str, object]) -> list[object]:
    stated = part["assert"]
    return stated if isinstance(stated, list) else []


def _yaml(data: object) -> str:
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=110)
