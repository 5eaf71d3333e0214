"""Models that answer over OpenAI-compatible HTTP; nothing outside this folder imports httpx."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.endpoints.abilities import refuse_unable
    from harness.endpoints.answers import served_answers
    from harness.endpoints.connection import Connection, EndpointError, Patience, RefusedError
    from harness.endpoints.continuations import Continuation, continued, scored
    from harness.endpoints.vllm import engine_mark, hosted, refuse_unreadable

CHAT = "chat"
"""What suites need of an endpoint; its other needs are lm-eval's names for what tasks ask."""
NOT_STOCK = (
    "the sizes of its layers are not those of a stock class, which is all that vLLM reads; `secateur compress --layout "
    "padded` makes the same model with the same logits, `equal_layers: true` in the recipe one with equal layers"
)
"""Why an engine of its own cannot serve a pruned model, and what to do instead."""

__all__ = [
    "CHAT",
    "NOT_STOCK",
    "Connection",
    "Continuation",
    "EndpointError",
    "Patience",
    "RefusedError",
    "continued",
    "engine_mark",
    "hosted",
    "refuse_unable",
    "refuse_unreadable",
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
    "engine_mark": "vllm",
    "hosted": "vllm",
    "refuse_unable": "abilities",
    "refuse_unreadable": "vllm",
    "scored": "continuations",
    "served_answers": "answers",
}


def __getattr__(name: str) -> object:
    """Load what is asked for: most plans have no endpoint."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
