"""The tokens of a passage, and how loud each is drawn."""

from __future__ import annotations

from reports.fidelity import PassageRow

STEPS = (0.05, 0.2, 0.5, 1.0)
"""Nats from which on a token is drawn one step louder; those of the answers' tokens in scripts/tokens.js."""


def tokens(passage: PassageRow) -> list[tuple[str, float]]:
    """Text and divergence of each token that has a text: parts of a letter count with the token that ends it."""
    found, waiting = [], 0.0
    for text, kl in zip(passage.texts, passage.kl, strict=True):
        waiting = max(waiting, kl)
        if text:
            found.append((text, waiting))
            waiting = 0.0
    return found


def step(kl: float) -> int:
    """0: quiet, up to one for each of STEPS."""
    return sum(kl >= least for least in STEPS)
