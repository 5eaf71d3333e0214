"""The answer as a whole: equals, starts-with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, shown
from suites.errors import SuiteError
from suites.filters import text_of
from suites.reply import Reply


@dataclass(frozen=True)
class Equals:
    """The answer is exactly the value; a list or mapping is compared with the answer read as JSON."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if self.value is None:
            raise SuiteError("equals: the value must be text, a number, true or false, a list or a mapping")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        if not isinstance(self.value, list | dict):
            same = answer.text == text_of(self.value)
        else:
            try:
                same = _same(json.loads(answer.text), self.value)
            except (ValueError, RecursionError):
                return found("equals", False, f"the answer {shown(answer.text)} is not JSON")
        wanted = shown(text_of(self.value))
        reason = f"the answer is {wanted}" if same else f"the answer is {shown(answer.text)}, not {wanted}"
        return found("equals", same, reason)


@dataclass(frozen=True)
class StartsWith:
    """The answer begins with the value, upper and lower case told apart."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value:
            raise SuiteError("starts-with: the value must be text, not empty")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        start = text_of(self.value)
        holds = answer.text.startswith(start)
        begins = f"the answer starts with {shown(answer.text[: len(start)])}"
        return found("starts-with", holds, begins if holds else f"{begins}, not {shown(start)}")


def _same(one: object, other: object) -> bool:
    """Compare as JSON does: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other


TYPES: dict[str, type] = {"equals": Equals, "starts-with": StartsWith}
