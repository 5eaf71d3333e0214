"""Characters that a reader cannot see, made visible: in one place for templates and data."""

from __future__ import annotations

import re

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # control, breaks of lines, halves of surrogate pairs
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # marks, embeddings, overrides and isolates of direction
    r"\xad\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2065\u3164\ufeff\uffa0\ufff9-\ufffb"  # drawn as nothing
    r"\U000e0000-\U000e0fff]"  # tags and supplementary selectors, which can hold a whole text unseen
)
"""All but tab and newline, and but U+200C, U+200D and U+FE0F, which Persian, Hindi and emoji are written with."""


def visible(text: str) -> str:
    """The text with hidden characters spelt out."""
    return HIDDEN.sub(_spelt, text)


def _spelt(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
