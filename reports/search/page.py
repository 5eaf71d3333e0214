"""SearchPage: everything the template of a search may show, as plain frozen values. None is missing, never zero."""

from __future__ import annotations

from dataclasses import dataclass

from reports.page import Decision, Fact


@dataclass(frozen=True)
class TrialLine:
    """One step of a search."""

    step: str
    """What it was looked at on: screened, searched or held out."""
    variant: str
    sparsity: float
    parameters: int
    divergence: float | None = None
    """From the original, nats a token; of a trial as the curve has it."""
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    """Where the gates were expected to break when it was chosen."""
    decision: Decision | None = None
    """None: nothing was judged."""
    reason: str = ""
    seconds: float = 0.0
    front: bool = False
    """Whether no other step is at once smaller and nearer to the original."""


@dataclass(frozen=True)
class VariantLine:
    """What became of a method with a recovery."""

    name: str
    passed: float | None
    """Largest sparsity that passed on the searched half."""
    expected: float | None
    """Where its gates were expected to break before its first trial."""
    low: float | None
    high: float | None
    fate: str


@dataclass(frozen=True)
class SearchPage:
    """One search of one plan."""

    plan: str
    created: str
    """Date and time with zone, as shown."""
    decision: Decision
    """PASS if a candidate passes on held-out items."""
    sentences: tuple[str, ...]
    """The result in words, the most important first."""
    command: str
    trials: tuple[TrialLine, ...]
    """In the order in which they ended."""
    variants: tuple[VariantLine, ...]
    provenance: tuple[Fact, ...] = ()
