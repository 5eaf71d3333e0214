"""What a recovery did: frozen, and part of the receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SourceFacts:
    """What was read of one source."""

    source: str
    sha256: str
    """Of all documents that were read, in UTF-8."""
    documents: int
    tokens: int
    """In the training rows."""


@dataclass(frozen=True)
class Point:
    """One measurement of the held-out loss."""

    step: int
    tokens: int
    """Read so far, all of them, whether the loss counts them or not."""
    loss: float
    """Mean training loss since the point before; of the objective, in nats a token."""
    held_out: float
    """Mean over the held-out tokens that count; of the objective, in nats."""


@dataclass(frozen=True)
class LayerAdapters:
    """What the adapters of one decoder layer came to."""

    layer: int
    rank: int
    relative_norm: float
    """Frobenius norm of all their updates by that of the weights they change."""
    effective_rank: float
    """exp of the entropy of the update's normalised singular values, mean over the layer's projections."""
    without: float
    """How much higher the held-out loss is with this layer's adapters switched off, in nats."""


@dataclass(frozen=True)
class Trial:
    """One short training."""

    ranks: tuple[int, ...]
    """By decoder layer."""
    seed: int
    score: float
    """Held-out loss at its best, in nats a token."""


@dataclass(frozen=True)
class Contest:
    """Another allocation against uniform ranks at equal cost."""

    uniform: tuple[float, ...]
    """Held-out loss by seed."""
    other: tuple[float, ...]
    difference: float
    """Mean of uniform - other, in nats; above 0 the other is better."""
    interval: tuple[float, float]
    """95 % of the paired difference over seeds."""
    decision: Literal["better", "no difference seen", "worse"]
    """Of the other; uniform ranks are used unless it is better."""


@dataclass(frozen=True)
class Step:
    """One of several cuts in turn, and what its recovery did."""

    ratio: str
    """Of the recipe's target."""
    reached: float
    """Of the original has gone after this cut."""
    before: float
    """Held-out loss after the cut."""
    after: float
    """After its recovery."""
    tokens: int
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recovered:
    """What a recovery did to one model."""

    rule: str
    ranks: tuple[int, ...]
    """By decoder layer; empty where nothing low-rank was trained."""
    before: float
    """Held-out loss of the pruned model; of the objective, in nats a token."""
    after: float
    """Of the recovered one."""
    points: tuple[Point, ...] = ()
    seconds: float = 0.0
    """Of this process; an interrupted training counts what was done before as well."""
    tokens: int = 0
    """Read in training."""
    precision: str = "float32"
    """Of the training's forward and backward passes."""
    peak_bytes: int = 0
    """Highest resident memory of this process while it went on, the original and the data included."""
    layers: tuple[LayerAdapters, ...] = ()
    contest: Contest | None = None
    trials: tuple[Trial, ...] = ()
    """Short trainings that allocations were chosen by."""
    adapters: Literal["merged", "merged under the mask", "apart", "none"] = "none"
    data: tuple[SourceFacts, ...] = ()
    notes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    """Empty: one cut and one recovery. Else what is above is of all of them, but for `before`, which is after the last
    cut, and for what is told of adapters, which are the last step's."""
