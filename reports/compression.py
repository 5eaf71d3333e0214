"""How a candidate was made, as plain frozen values: part of its page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AdapterRow:
    """What the adapters of one decoder layer came to."""

    rank: int
    relative_norm: float
    """Norm of their updates by that of the weights."""
    effective_rank: float
    without: float
    """How much higher the held-out loss is without them, in nats a token."""


@dataclass(frozen=True)
class LayerRow:
    """What is left of one decoder layer: FFN channels and kv groups."""

    index: int
    width: int
    width_before: int
    kv_groups: int
    kv_groups_before: int
    attention: bool = True
    """False: the attention sub-layer was removed whole."""
    mlp: bool = True
    sparsity: float | None = None
    """Share of this layer's Linear weights removed."""
    adapters: AdapterRow | None = None
    """What recovery trained here; None: nothing low-rank."""
    scores: tuple[float, ...] = ()
    """What equal shares of its FFN channels do not exceed in importance, the least important first; empty: unknown."""


@dataclass(frozen=True)
class RatioRow:
    """One of the definitions of how much was removed; value 0 to 1, None where it does not apply."""

    name: str
    meaning: str
    value: float | None


@dataclass(frozen=True)
class LossPoint:
    """Losses after so many tokens of training, of the objective, in nats."""

    tokens: int
    training: float | None
    """Mean since the point before."""
    held_out: float


@dataclass(frozen=True)
class RecoveryRow:
    """What recovery brought back."""

    rule: str
    before: float
    """Held-out loss of the pruned model, nats."""
    after: float
    points: tuple[LossPoint, ...] = ()
    """In order; fewer than two: there is no curve."""
