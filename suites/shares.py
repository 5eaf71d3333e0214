"""Replies in words to a suite's own words for context-*: how promptfoo reads shares from them."""

from __future__ import annotations

import re

from suites.errors import UndecidedError

SENTENCE = re.compile(r"(?<=[.!?])\s+")
ONLY_A_NUMBER = re.compile(r"[0-9]+[.)]")
VERDICTS = "final verdict for each statement in order:"


def lines(text: str) -> list[str]:
    """Return the lines in which there is something."""
    return [line for line in text.split("\n") if line.strip()]


def verdicts(text: str, total: int) -> int:
    """Return how many of the statements are found supported: by a last list of yes and no, or verdict by verdict.

    A statement without a verdict is not. Raises UndecidedError for a reply without any.
    """
    said = text.lower()
    if VERDICTS in said:
        each = ["yes" in one for one in said.partition(VERDICTS)[2].split(".") if one.strip()]
    else:
        each = [found == "yes" for found in re.findall("verdict: (yes|no)", said)]
    if not each or not total:
        raise UndecidedError("the judge's reply has no verdicts")
    against = each.count(False) + max(0, total - len(each))
    return max(0, total - against)


def attributed(text: str) -> list[bool]:
    """Return of every line that says so whether it is attributed to the context; raises UndecidedError without any."""
    marked = [line.lower() for line in lines(text) if re.search(r"\[(not )?attributed\]", line, re.IGNORECASE)]
    if not marked:
        raise UndecidedError("the judge's reply marks nothing as attributed or not")
    return ["[not attributed]" not in line for line in marked]


def extracted(text: str, context: object) -> tuple[int, int]:
    """Return how many parts of the context the reply repeats, and how many there are."""
    whole = context if isinstance(context, str) else ""
    parts = [one for one in map(str, context) if one.strip()] if isinstance(context, list) else _sentences(whole)
    apart = isinstance(context, list) or len(lines(whole)) > 1
    needed = set() if "Insufficient Information" in text else set(lines(text) if apart else _sentences(text))
    return min(len(needed), len(parts)), len(parts)


def _sentences(text: str) -> list[str]:
    """Return the lines of a text, or the sentences of its only line."""
    pieces = lines(text)
    found = [piece.strip() for piece in (pieces if len(pieces) > 1 else SENTENCE.split(text))]
    return [piece for piece in found if piece and not ONLY_A_NUMBER.fullmatch(piece)]
