"""How far the answer is from a text, letter by letter: levenshtein."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, shown
from suites.errors import SuiteError
from suites.reply import Reply

MOST = 2**31 - 1
"""A text has fewer letters than that."""


@dataclass(frozen=True)
class Levenshtein:
    """At most so many insertions, deletions and replacements lead from the answer to the value; 5 if not given."""

    value: object
    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            raise SuiteError("levenshtein: the value must be text")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        limit = 5 if self.threshold is None else self.threshold
        edits = distance(answer.text, str(self.value), int(min(max(limit, 0), MOST)))
        holds = edits <= limit
        count = f"{edits}" if holds else f"more than {limit:g}" if limit >= 0 else f"{edits} or more"
        return found("levenshtein", holds, f"{count} edits lead from the answer to {shown(str(self.value))}")


def distance(one: str, other: str, most: int | None = None) -> int:
    """Return the number of edits between two texts; one more than `most` where it is greater than that.

    As in promptfoo, the letters are UTF-16 units: most emoji count as two.
    """
    from rapidfuzz.distance import Levenshtein as Edits

    return Edits.distance(_units(one), _units(other), score_cutoff=most)


def _units(text: str) -> array[int]:
    return array("H", text.encode("utf-16-le", "surrogatepass"))


TYPES: dict[str, type] = {"levenshtein": Levenshtein}
