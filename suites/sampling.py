"""How answers are drawn, and how often a case is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """Tokens are drawn by their probability, instead of the likeliest being taken."""

    temperature: float
    """Logits are divided by it first."""
    top_p: float = 1.0
    """Only the likeliest tokens are drawn that have this much probability together."""
    seed: int = 0
    """Every case and repeat has a seed of its own, made from this one."""


@dataclass(frozen=True)
class Repeat:
    """How often a case is asked, and how many of its answers must pass for it to pass."""

    n: int = 1
    min_pass: int = 1
