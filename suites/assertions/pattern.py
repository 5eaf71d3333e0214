"""A pattern inside the answer: regex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import regex

from suites.assertions import Check, found, shown
from suites.dialect import translated
from suites.errors import SuiteError
from suites.reply import Reply

SECONDS = 1.0
MAX_PATTERN = 10_000


@dataclass(frozen=True)
class Regex:
    """The pattern is found anywhere in the answer; it is in JavaScript's dialect, see `suites.dialect`."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value:
            raise SuiteError("regex: the value must be a pattern, not empty")
        if len(self.value) > MAX_PATTERN:
            raise SuiteError(f"regex: the pattern is longer than {MAX_PATTERN} characters")
        try:
            regex.compile(translated(self.value), flags=regex.ASCII)
        except (regex.error, ValueError, OverflowError, RecursionError) as error:
            raise SuiteError(f"regex: pattern {shown(self.value)} is not valid: {error}") from error

    def check(self, answer: Reply, original: Reply | None) -> Check:
        """Raises SuiteError for a pattern that takes longer than a second, which would be neither pass nor fail."""
        pattern = str(self.value)
        match = search(pattern, answer.text)
        reason = f"{shown(match)} matches" if match is not None else f"nothing in {shown(answer.text)} matches"
        return found("regex", match is not None, f"{reason} {shown(pattern)}")


def search(pattern: str, text: str) -> str | None:
    """Return the first match, None if there is none; raises SuiteError when it takes longer than a second."""
    try:
        match = regex.search(translated(pattern), text, flags=regex.ASCII, timeout=SECONDS)
    except TimeoutError as error:
        raise SuiteError(
            f"regex: pattern {shown(pattern)} took more than {SECONDS:g} s on an answer of {len(text)} characters; "
            "write it without nested repeats"
        ) from error
    return None if match is None else match[0]


TYPES: dict[str, type] = {"regex": Regex}
