"""The vars of a test: from files, one set for each choice of a list, filled in from each other."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping

from suites.document import read
from suites.errors import SuiteError
from suites.files import DATA, FILE, Files
from suites.filters import MAX_TEXT, dump, text_of
from suites.templates import Templates, Vars, has_template

MAX_CASES = 100_000
MAX_VARS = 1_000
MAX_STEPS = 5
"""How long a chain of vars that name each other is followed, as in promptfoo."""
PLAIN = re.compile(r"\{\{\s*(\w+)\s*\}\}")
NAMED = re.compile(r"(?:\{\{-?\s*|\{%-?\s*(?:el)?if\s+|\{%-?\s*for\s+\w+\s+in\s+)([A-Za-z_]\w*)")
BOUND = re.compile(r"\{%-?\s*for\s+(\w+)|\{%-?\s*set\s+(\w+)")
ALWAYS = ("env", "loop", "range", "true", "false", "none", "null", "not")


def given_vars(given: Mapping[str, object] | str | list[str], files: Files) -> dict[str, object]:
    """Return the vars of a test, those of YAML and JSON files read."""
    if isinstance(given, Mapping):
        return dict(given)
    values: dict[str, object] = {}
    for address in [given] if isinstance(given, str) else given:
        for file in files.all(address, DATA):
            document = read(file)
            if not isinstance(document.data, dict):
                raise SuiteError(f"{file}: a file of vars is a mapping of names to values")
            values |= document.data
    return values


def choices(values: Vars, files: Files) -> Iterator[dict[str, object]]:
    """Yield one set of vars for each choice out of the lists of text and globs among them, the first changing slowest.

    A list that begins with anything but text is a value as it stands, as in promptfoo.
    """
    options = [_options(value, files) for value in values.values()]
    if math.prod(map(len, options)) > MAX_CASES:
        raise SuiteError(f"the lists in vars make more than {MAX_CASES} cases")
    for chosen in itertools.product(*options):
        yield dict(zip(values, chosen, strict=True))


def _options(value: object, files: Files) -> list[object]:
    if isinstance(value, list):
        return value if value and isinstance(value[0], str) else [value]
    if isinstance(value, str) and value.startswith(FILE):
        return [f"{FILE}{file.absolute()}" for file in files.all(value, ())]
    return [value]


def filled_vars(values: Vars, files: Files, templates: Templates) -> dict[str, object]:
    """Return the vars with files read, and those that are templates filled in from the others.

    A value that names a variable there is not stays as it is: it is the text of a template, not one to be filled in.
    """
    if len(values) > MAX_VARS:
        raise SuiteError(f"vars: more than {MAX_VARS} in one test")
    read_in = {name: _read(value, files) for name, value in values.items()}
    linked = _linked(read_in)
    return {
        name: templates.render(value, linked) if isinstance(value, str) and _known(value, linked) else value
        for name, value in linked.items()
    }


def _read(value: object, files: Files) -> object:
    if not isinstance(value, str):
        return value
    if not value.startswith(FILE):
        return value.removesuffix("\n")
    file = files.one(value)
    return dump(files.value(value)) if file.suffix.lower() in (".yaml", ".yml") else files.text(file)


def _linked(values: dict[str, object]) -> dict[str, object]:
    """Return the vars with plain `{{ name }}` of another var replaced, one place in each var at a time."""
    for _ in range(MAX_STEPS):
        changed = False
        for name, value in values.items():
            found = PLAIN.search(value) if isinstance(value, str) else None
            if not isinstance(value, str) or not found or found[1] not in values:
                continue
            other = values[found[1]]
            text = f"{value[: found.start()]}{'null' if other is None else text_of(other)}{value[found.end() :]}"
            if len(text) > MAX_TEXT:
                raise SuiteError(f"vars.{name}: the text grows beyond {MAX_TEXT} characters")
            values[name], changed = text, True
        if not changed:
            break
    return values


def _known(text: str, values: Vars) -> bool:
    """Return whether a text is a template whose variables there are."""
    if not has_template(text):
        return False
    bound = {name for pair in BOUND.findall(text) for name in pair}
    return all(name in values or name in bound or name in ALWAYS for name in NAMED.findall(text))
