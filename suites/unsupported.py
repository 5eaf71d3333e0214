"""Assertion types that are known, most of them of promptfoo, and cannot be checked here, each with its reason."""

from __future__ import annotations

_SPECIAL = "it needs a model trained for this one task"
_AGENT = "it needs a judge that acts by itself, searches or keeps a conversation"
_TOOLS = "it is about tool calls, which a plain answer has not"
_TRACE = "it needs the trace of an agent, which a plain answer has not"
_SERVICE = "it asks a service on the network"

UNSUPPORTED: dict[str, str] = {
    **dict.fromkeys(("agent-rubric", "conversation-relevance", "search-rubric"), _AGENT),
    **dict.fromkeys(("classifier", "moderation"), _SPECIAL),
    **dict.fromkeys(("is-valid-function-call", "is-valid-openai-function-call"), _TOOLS),
    **dict.fromkeys(("is-valid-openai-tools-call", "skill-used", "tool-call-f1"), _TOOLS),
    **dict.fromkeys(("trace-error-spans", "trace-span-count", "trace-span-duration"), _TRACE),
    **dict.fromkeys(("trajectory:goal-success", "trajectory:step-count", "trajectory:tool-args-match"), _TRACE),
    **dict.fromkeys(("trajectory:tool-sequence", "trajectory:tool-used"), _TRACE),
    **dict.fromkeys(("guardrails", "pi", "webhook"), _SERVICE),
    "ruby": "it is a program in a language that is not run here; write it as python",
    "human": "it waits for a person",
}


def reason_against(type: str) -> str | None:
    """Return why a type, with or without `not-`, cannot be checked here; None if it can, or is no type at all."""
    return UNSUPPORTED.get(type.removeprefix("not-"))
