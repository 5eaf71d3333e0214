"""What changed between two texts, word by word, as typed segments. Never HTML: templates do the marking."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

WORD = re.compile(r"\s+|\w+|[^\w\s]")

LARGEST = 1_000_000
"""Words before times words after; above it the middle is marked whole, since difflib takes quadratic time."""


@dataclass(frozen=True)
class Segment:
    """A stretch of one text; `changed` is what the other text does not have here."""

    text: str
    changed: bool


@dataclass(frozen=True)
class Diff:
    """Both texts in segments; joined, they give the texts again."""

    before: tuple[Segment, ...]
    after: tuple[Segment, ...]


def words(before: str, after: str) -> Diff:
    """Compare two texts word by word."""
    old, new = WORD.findall(before), WORD.findall(after)
    pairs: list[tuple[str, str, bool]] = []
    for tag, i, j, k, m in _opcodes(old, new):
        pairs.append(("".join(old[i:j]), "".join(new[k:m]), tag != "equal"))
    pairs = _without_flecks(pairs)
    return Diff(_segments((old, changed) for old, _, changed in pairs), _segments((new, c) for _, new, c in pairs))


def _opcodes(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """difflib's opcodes, or one replacement where it would take too long."""
    if len(old) * len(new) > LARGEST:
        same = old == new
        return [("equal" if same else "replace", 0, len(old), 0, len(new))]
    return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _without_flecks(pairs: list[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    """Count an equal stretch without a word between two changes as changed: a lone blank or comma reads as noise."""
    last = len(pairs) - 1
    return [
        (old, new, changed or (0 < at < last and not re.search(r"\w", old)))
        for at, (old, new, changed) in enumerate(pairs)
    ]


def _segments(parts: Iterable[tuple[str, bool]]) -> tuple[Segment, ...]:
    """Join neighbours of one kind and leave empty ones out."""
    joined: list[Segment] = []
    for text, changed in parts:
        if not text:
            continue
        if joined and joined[-1].changed == changed:
            joined[-1] = Segment(joined[-1].text + text, changed)
        else:
            joined.append(Segment(text, changed))
    return tuple(joined)
