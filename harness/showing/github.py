"""An outcome as annotations of GitHub Actions: lines that its runner shows beside the plan's file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.showing.remarks import is_file, remarks
from harness.verdicts.outcome import Outcome

TEXT_ESCAPES = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
FIELD_ESCAPES = (*TEXT_ESCAPES, (":", "%3A"), (",", "%2C"))
NAMES = {"note": "notice"}
"""Levels that GitHub calls otherwise."""


def annotated(outcome: Outcome, plan: str) -> Iterator[str]:
    """A line for each gate that did not pass, at its line of the plan, and for each candidate that was not judged."""
    place = {"file": plan} if is_file(plan) else {}
    for remark in remarks(outcome, plan):
        line = {} if remark.line is None else {"line": str(remark.line)}
        title = f"{remark.candidate}: {remark.what}"
        yield _command(NAMES.get(remark.level, remark.level), {**place, **line, "title": title}, remark.text)


def _command(level: str, fields: dict[str, str], text: str) -> str:
    said = ",".join(f"{name}={_escaped(value, FIELD_ESCAPES)}" for name, value in fields.items())
    return f"::{level} {said}::{_escaped(text, TEXT_ESCAPES)}"


def _escaped(text: str, escapes: Sequence[tuple[str, str]]) -> str:
    for letter, escaped in escapes:
        text = text.replace(letter, escaped)
    return text
