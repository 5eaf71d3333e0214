"""Text inside the answer: contains, contains-any, contains-all, and icontains* which fold upper and lower case."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, shown
from suites.errors import SuiteError
from suites.filters import text_of
from suites.reply import Reply


@dataclass(frozen=True)
class Contains:
    """The answer contains the value."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _word("contains", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _all("contains", [_word("contains", self.value)], answer.text)


@dataclass(frozen=True)
class IContains:
    """The answer contains the value, both in lower case."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _word("icontains", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _all("icontains", [_word("icontains", self.value)], answer.text)


@dataclass(frozen=True)
class ContainsAny:
    """The answer contains one of the values at least."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _words("contains-any", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _any("contains-any", _words("contains-any", self.value), answer.text)


@dataclass(frozen=True)
class IContainsAny:
    """The answer contains one of the values at least, all in lower case."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _words("icontains-any", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _any("icontains-any", _words("icontains-any", self.value), answer.text)


@dataclass(frozen=True)
class ContainsAll:
    """The answer contains each of the values."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _words("contains-all", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _all("contains-all", _words("contains-all", self.value), answer.text)


@dataclass(frozen=True)
class IContainsAll:
    """The answer contains each of the values, all in lower case."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _words("icontains-all", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        return _all("icontains-all", _words("icontains-all", self.value), answer.text)


def _word(type: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise SuiteError(f"{type}: the value must be text, not empty, or a number")
    return text_of(value)


def _words(type: str, value: object) -> list[str]:
    """Return the values of a list, or of a text in the form of one CSV line."""
    if isinstance(value, str):
        try:
            rows = list(csv.reader([value.strip().replace('\\"', '""')], skipinitialspace=True))
        except csv.Error as error:
            raise SuiteError(f"{type}: the value is not one line of values between commas: {error}") from error
        value = [word.strip() for row in rows for word in row]
    if not isinstance(value, list) or not value:
        raise SuiteError(f"{type}: the value must be a list, not empty, or values between commas")
    return [_word(type, element) for element in value]


def _missing(type: str, words: list[str], answer: str) -> list[str]:
    """Return the words that the answer does not contain; a type that begins with i folds the case."""
    if type.startswith("i"):
        return [word for word in words if word.lower() not in answer.lower()]
    return [word for word in words if word not in answer]


def _all(type: str, words: list[str], answer: str) -> Check:
    missing = _missing(type, words, answer)
    verb, listed = ("does not contain", missing) if missing else ("contains", words)
    return found(type, not missing, f"the answer {verb} {', '.join(map(shown, listed))}")


def _any(type: str, words: list[str], answer: str) -> Check:
    missing = _missing(type, words, answer)
    present = [word for word in words if word not in missing]
    verb, listed = ("contains", present) if present else ("contains none of", words)
    return found(type, bool(present), f"the answer {verb} {', '.join(map(shown, listed))}")


TYPES: dict[str, type] = {
    "contains": Contains,
    "contains-all": ContainsAll,
    "contains-any": ContainsAny,
    "icontains": IContains,
    "icontains-all": IContainsAll,
    "icontains-any": IContainsAny,
}
