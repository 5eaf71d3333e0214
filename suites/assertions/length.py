"""How long the answer is: word-count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found
from suites.errors import SuiteError
from suites.reply import Reply
from suites.words import words


@dataclass(frozen=True)
class WordCount:
    """The number of words between white space is the value, or inside its `min` and `max`, both included."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        _bounds(self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        low, high = _bounds(self.value)
        count = len(words(answer.text))
        holds = low <= count and (high is None or count <= high)
        asked = f"{low} or more" if high is None else f"{low}" if low == high else f"{low} to {high}"
        return found("word-count", holds, f"the answer has {count} words, the rule says {asked}")


def _bounds(value: object) -> tuple[int, int | None]:
    """Return the least and the greatest number of words, None for no upper end."""
    if not isinstance(value, dict):
        return _number(value), _number(value)
    if not value or not value.keys() <= {"min", "max"}:
        raise SuiteError("word-count: the value must be a whole number, or a mapping with min, max or both")
    low = _number(value.get("min", 0))
    high = _number(value["max"]) if "max" in value else None
    if high is not None and high < low:
        raise SuiteError(f"word-count: min {low} is more than max {high}")
    return low, high


def _number(value: object) -> int:
    # A value that was filled in from a template is text.
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SuiteError("word-count: the number of words must be a whole number, 0 or more")
    return value


TYPES: dict[str, type] = {"word-count": WordCount}
