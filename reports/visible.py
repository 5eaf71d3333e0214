"""Characters that a reader cannot see, or that hide others, spelt out: in one place for templates and data."""

from __future__ import annotations

import re

MARKS = (
    r"\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    r"\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
"""Marks that are set above or below the letter before them, each further out."""
MOST_MARKS = 6
"""Of one letter; no writing needs more, and a tower of them lies over the lines around."""

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # control, breaks of lines, halves of surrogate pairs
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # marks, embeddings, overrides and isolates of direction
    r"\xad\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2065\u3164\ufeff\uffa0\ufff9-\ufffb"  # drawn as nothing
    r"\U000e0000-\U000e0fff]"  # tags and supplementary selectors, which can hold a whole text unseen
    rf"|[{MARKS}](?<=[{MARKS}]{{{MOST_MARKS + 1}}})"
)
"""Tab and newline are none, nor are U+200C, U+200D and U+FE0F, which Persian, Hindi and emoji are written with."""


def visible(text: str) -> str:
    """The text with hidden characters spelt out."""
    return HIDDEN.sub(_spelt, text)


def _spelt(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
