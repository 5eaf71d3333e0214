"""Formats: rows of a data set -> documents, text or dialogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from compress.errors import CompressError
from compress.text_files import Row

Format = Literal["text", "instruction", "chat"]

MESSAGES = ("messages", "conversations")
ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}
"""What data sets call a speaker -> what chat templates do."""


@dataclass(frozen=True)
class Turn:
    """One message of a dialogue."""

    role: str
    """system, user or assistant."""
    content: str


Document = str | tuple[Turn, ...]
"""Plain text, or a dialogue that ends with the assistant."""


def format_of(row: Row, field: str) -> Format:
    """Told from the fields. Raises CompressError if they are of no known format."""
    found = row.fields
    if field != "text" and field in found:
        return "chat" if isinstance(found[field], list) else "text"
    if any(isinstance(found.get(name), list) for name in MESSAGES):
        return "chat"
    if "instruction" in found and ("output" in found or "response" in found):
        return "instruction"
    if field in found:
        return "text"
    if any(name in found for name in MESSAGES):
        return "chat"  # of something else than a list, which is told where messages are read
    raise CompressError(
        f"{row.place}: no known format: needs '{field}', 'instruction' with 'output' or 'response', 'messages' or "
        f"'conversations'; fields found: {row.names()}"
    )


def document(row: Row, kind: Format, field: str) -> Document | None:
    """What one row says, or None if there is nothing to learn from it: no text, or no answer.

    Raises CompressError on missing fields, naming those found.
    """
    if kind == "text":
        return row.text(field).strip() or None
    return _instruction(row) if kind == "instruction" else _dialogue(_messages(row, field))


def _instruction(row: Row) -> Document | None:
    """Alpaca's fields: instruction, input, output; or dolly's: instruction, context, response."""
    answer = row.text("response" if "response" in row.fields else "output").strip()
    beside = row.optional("input") or row.optional("context")
    question = "\n\n".join(part for part in (row.text("instruction").strip(), beside) if part)
    return (Turn("user", question), Turn("assistant", answer)) if question and answer else None


def _messages(row: Row, field: str) -> list[Turn]:
    name = next((name for name in MESSAGES if name in row.fields), field)
    found = row.fields.get(name)
    if not isinstance(found, list):
        fault = f"{type(found).__name__} instead of a list" if name in row.fields else "no list"
        raise CompressError(f"{row.place}: {fault} of messages in field '{name}'; fields found: {row.names()}")
    return [_turn(Row(f"{row.place}, message {number}", _mapping(given))) for number, given in enumerate(found, 1)]


def _mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else {}


def _turn(message: Row) -> Turn:
    role = message.text("from" if "from" in message.fields else "role")
    if role not in ROLES:
        raise CompressError(f"{message.place}: unknown role '{role}'; allowed: {', '.join(ROLES)}")
    return Turn(ROLES[role], message.text("value" if "value" in message.fields else "content").strip())


def _dialogue(turns: list[Turn]) -> Document | None:
    """From the first user or system message to the last of the assistant; None if there is nothing between."""
    places = [place for place, turn in enumerate(turns) if turn.role == "assistant" and turn.content]
    start = next((place for place, turn in enumerate(turns) if turn.role != "assistant"), len(turns))
    end = places[-1] + 1 if places else 0
    return tuple(turns[start:end]) or None
