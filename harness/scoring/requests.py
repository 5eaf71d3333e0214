"""What can be asked of the scorer, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import HarnessError


class NotFiniteError(HarnessError):
    """The model's output is NaN: nothing can be concluded from it."""


@dataclass(frozen=True)
class Request:
    """Score `continuation` after `context`; both are token ids, neither may be empty."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """The answer to one Request."""

    logprob: float
    """Natural logarithm, summed over the continuation."""
    greedy: bool
    """Whether each token of the continuation is the most likely one."""
    cut: int
    """Tokens dropped from the left because the row was longer than the model's context."""


@dataclass(frozen=True)
class Row:
    """One distinct input of the model and the requests that it answers."""

    tokens: tuple[int, ...]
    requests: tuple[int, ...]
    """Their numbers."""
    scored: int
    """The last so many positions are looked at: the longest continuation of the row."""


def rows(requests: Sequence[Request], limit: int) -> list[Row]:
    """Distinct inputs, in the order of their tokens; the last token of a continuation is never an input.

    limit: tokens that the model reads at once; a longer row loses its first ones.
    """
    sharing: dict[tuple[int, ...], list[int]] = {}
    for index, request in enumerate(requests):
        if not request.context or not request.continuation:
            part = "continuation" if request.context else "context"
            raise HarnessError(f"request {index}: the {part} has no token; both parts need at least one")
        if len(request.continuation) > limit:
            raise HarnessError(
                f"request {index}: a continuation of {len(request.continuation)} tokens; the model reads {limit}"
            )
        sharing.setdefault(row_tokens(request, limit), []).append(index)
    return [
        Row(tokens, tuple(indices), max(len(requests[index].continuation) for index in indices))
        for tokens, indices in sorted(sharing.items())
    ]


def row_tokens(request: Request, limit: int) -> tuple[int, ...]:
    """What the model reads for a request: the last token is only predicted, the first are lost beyond the limit."""
    return (request.context + request.continuation)[:-1][-limit:]
