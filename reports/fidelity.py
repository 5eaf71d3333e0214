"""Where a candidate's predictions part from the original's, as plain frozen values: part of its page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PassageRow:
    """A stretch of text, token by token."""

    where: str
    """For example "document 3, window 0"."""
    mean: float
    """KL divergence of the whole window, nats a token."""
    texts: tuple[str, ...]
    kl: tuple[float, ...]
    """Of each token, nats."""


@dataclass(frozen=True)
class Percentile:
    """What a share of the tokens, 0 to 1, does not exceed, nats."""

    share: float
    value: float


@dataclass(frozen=True)
class DivergenceRow:
    """How the KL divergences of single tokens lie on one corpus."""

    corpus: str
    """Empty: the only one."""
    edges: tuple[float, ...]
    """Lower ends of the histogram's bins, nats; the last bin has no upper end."""
    counts: tuple[int, ...]
    """Tokens in each bin."""
    percentiles: tuple[Percentile, ...] = ()
    passages: tuple[PassageRow, ...] = ()
    """Those farthest from the original, worst first."""
