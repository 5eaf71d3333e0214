"""`$ref: "#/assertionTemplates/NAME"`: a mapping that stands for another part of the same file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from suites.document import Document, Key
from suites.errors import SuiteError
from suites.parse import MAX_NODES, Marks, Parsed

REFERENCE = "$ref"
OTHERS = ("value", "config", "providers", "targets")
"""Keys beneath which a reference belongs to somebody else: to a JSON Schema, or to a provider."""


def dereference_(document: Document) -> None:
    """Replace every reference of the document by what it names; keys beside it win over those of its target.

    Raises SuiteError for a reference that leads out of the file, nowhere, or in a circle.
    """
    walk = _Walk(document)
    walk.through_(document.data, document.marks, ())


@dataclass
class _Walk:
    document: Document
    under: list[str] = field(default_factory=list)
    """References that are being followed."""
    nodes: int = 0
    """Values that references have brought in."""

    def through_(self, data: Any, marks: Marks, path: tuple[Key, ...]) -> int:
        """Replace the references inside a value; returns how many values it has then."""
        size = 1
        keys = list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
        for key in keys:
            # What an alias stands for is gone through where its anchor is.
            if key in OTHERS or key not in marks.inside:
                continue
            here = (*path, key)
            child, inside = data[key], marks.inside[key]
            size += self.through_(child, inside, here)
            if isinstance(child, dict) and REFERENCE in child:
                data[key], replaced = self._target(child, inside, here)
                marks.inside[key] = replaced
        return size

    def _target(self, data: dict[str, Any], marks: Marks, path: tuple[Key, ...]) -> Parsed:
        reference = data[REFERENCE]
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise SuiteError(self.document.fault(path, f'{REFERENCE}: give "#/" and a path inside this file'))
        if reference in self.under:
            raise SuiteError(self.document.fault(path, f"{REFERENCE}: {reference} leads in a circle"))
        target, where = self._found(reference, path)
        self.under.append(reference)
        self.nodes += self.through_(target, where, ())
        if isinstance(target, dict) and REFERENCE in target:
            target, where = self._target(target, where, path)
        self.under.pop()
        if self.nodes > MAX_NODES:
            raise SuiteError(self.document.fault(path, f"more than {MAX_NODES} values once references are written out"))
        if not isinstance(target, dict):
            return Parsed(target, Marks(marks.line, where.inside))
        beside = {key: value for key, value in data.items() if key != REFERENCE}
        inside = where.inside | {key: mark for key, mark in marks.inside.items() if key in beside}
        return Parsed(target | beside, Marks(marks.line, inside))

    def _found(self, reference: str, path: tuple[Key, ...]) -> Parsed:
        """Return the part of the file that a JSON pointer names."""
        data: Any = self.document.data
        marks = self.document.marks
        for step in reference.removeprefix("#/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            key: Key = int(name) if isinstance(data, list) and name.isdecimal() and len(name) < 9 else name
            try:
                data, marks = data[key], marks.inside.get(key, marks)
            except (LookupError, TypeError) as error:
                raise SuiteError(self.document.fault(path, f"{REFERENCE}: there is no {reference}")) from error
        return Parsed(data, marks)
