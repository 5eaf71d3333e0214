"""How much a model works on at once. It decides speed and memory; answers and scores stay the same but for rounding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batching:
    """The defaults are those of every run; others show how much rounding alone can change."""

    rows: int = 48
    """Prompts being answered at once."""
    tokens: int = 8192
    """Prompt and new tokens of all rows being answered, padding included; a single longer prompt goes alone."""
    shared_from: int = 8
    """Shortest common beginning of all prompts, in tokens, that is computed once."""
    packed: int | None = None
    """Tokens of one row when scoring; None: what suits the device."""


OTHER = Batching(rows=13, tokens=4096, shared_from=1_000_000, packed=160)
"""Nothing is worked on beside the same things as by default."""
