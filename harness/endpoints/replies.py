"""Parts of a reply, which may be of any form: what is missing is a refusal, what is only told is a default."""

from __future__ import annotations

from harness.endpoints.connection import Body, RefusedError, Reply

LARGEST_COUNT = 2**31 - 1


def choice_of(reply: Reply) -> Body:
    """The only choice. Raises RefusedError if there is none."""
    choices = reply.body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    raise RefusedError("a reply without choices")


def text_of(value: object) -> str:
    """Text that can be stored; what is no text, such as null, is empty."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def tokens_of(reply: Reply, name: str) -> int:
    """How many tokens a reply says, as "prompt_tokens" or "completion_tokens"; 0 where it does not."""
    usage = reply.body.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and 0 <= count <= LARGEST_COUNT else 0
