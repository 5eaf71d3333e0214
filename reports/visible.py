"""Characters that a reader cannot see, made visible: in one place for templates and data."""

from __future__ import annotations

import re

HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and newline, embeddings and overrides of direction, halves of surrogate pairs."""


def visible(text: str) -> str:
    """The text with hidden characters spelt out."""
    return HIDDEN.sub(_spelt, text)


def _spelt(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
