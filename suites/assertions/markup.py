"""XML: the answer as a whole, or somewhere in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, shown
from suites.elements import Element, document, fragments
from suites.errors import SuiteError
from suites.filters import text_of
from suites.reply import Reply

MAX_NAMES = 100


@dataclass(frozen=True)
class IsXml:
    """The whole answer is well-formed XML, and has the elements that the value names."""

    value: object = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _paths("is-xml", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        try:
            missing = _missing(document(answer.text), _paths("is-xml", self.value))
        except SuiteError as error:
            return found("is-xml", False, f"the answer {shown(answer.text)} cannot be read: {error}")
        return found("is-xml", not missing, f"the answer is XML {_said(missing)}")


@dataclass(frozen=True)
class ContainsXml:
    """Somewhere in the answer are XML elements that have the elements the value names.

    Paths begin at the outermost element that is closed, or at several that stand beside each other.
    """

    value: object = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _paths("contains-xml", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        paths = _paths("contains-xml", self.value)
        lacking = [_missing(element, paths) for element in fragments(answer.text)]
        if not lacking:
            return found("contains-xml", False, f"there is no XML in the answer {shown(answer.text)}")
        fewest = min(lacking, key=len)
        return found("contains-xml", not fewest, f"the answer contains XML {_said(fewest)}")


def _paths(type: str, value: object) -> list[str]:
    """Return the elements asked for, each names with dots between."""
    if isinstance(value, dict) and value.keys() <= {"requiredElements"}:
        value = value.get("requiredElements")
    if isinstance(value, str):
        value = [path.strip() for path in value.split(",")]
    if value is not None and not isinstance(value, list):
        raise SuiteError(f"{type}: the value must be a list of elements, such as [note.to], or text with commas")
    paths = [text_of(path) for path in value or ()]
    if any(path.count(".") >= MAX_NAMES for path in paths):
        raise SuiteError(f"{type}: an element is named by {MAX_NAMES} names at most")
    return paths


def _missing(element: Element, paths: list[str]) -> list[str]:
    return [path for path in paths if not element.has(path.split("."))]


def _said(missing: list[str]) -> str:
    return f"without {', '.join(map(shown, missing))}" if missing else "with all that is asked for"


TYPES: dict[str, type] = {"contains-xml": ContainsXml, "is-xml": IsXml}
