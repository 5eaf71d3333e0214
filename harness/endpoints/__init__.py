"""Models that answer over OpenAI-compatible HTTP; nothing outside this folder imports httpx."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.endpoints.abilities import refuse_unable
    from harness.endpoints.answers import served_answers
    from harness.endpoints.connection import Connection, EndpointError, Patience, RefusedError
    from harness.endpoints.continuations import Continuation, continued, scored

CHAT = "chat"
"""What suites need of an endpoint; its other needs are lm-eval's names for what tasks ask."""

__all__ = [
    "CHAT",
    "Connection",
    "Continuation",
    "EndpointError",
    "Patience",
    "RefusedError",
    "continued",
    "refuse_unable",
    "scored",
    "served_answers",
]

_HOMES = {
    "Connection": "connection",
    "Continuation": "continuations",
    "EndpointError": "connection",
    "Patience": "connection",
    "RefusedError": "connection",
    "continued": "continuations",
    "refuse_unable": "abilities",
    "scored": "continuations",
    "served_answers": "answers",
}


def __getattr__(name: str) -> object:
    """Load what is asked for: most plans have no endpoint."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
