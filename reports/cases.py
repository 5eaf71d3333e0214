"""Cases and their answers as a page shows them: plain frozen values, strings may be hostile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["loss", "gain", "churn", "fail", "pass", "dropped"]
"""loss: pass before, fail after. gain: the reverse. churn: both fail, with different answers.
fail: both fail, with the same answer. pass: both pass. dropped: the original did not answer, so there is no pair."""


@dataclass(frozen=True)
class Message:
    """One turn of a prompt."""

    role: str
    content: str


@dataclass(frozen=True)
class CheckRow:
    """One assertion on one answer; `reason` is the evidence."""

    type: str
    passed: bool
    reason: str
    checked: bool = True
    """False: it could not be decided, and `reason` says why."""
    score: float | None = None
    """0 to 1; shown where it is between."""


@dataclass(frozen=True)
class TokenRow:
    """One token of an answer, and how far the two models are apart where it was chosen."""

    text: str
    kl: float | None
    """KL divergence of the two next-token distributions, in nats."""


@dataclass(frozen=True)
class AnswerRow:
    """What one model said. `text` None: not answered, and `error` says why."""

    text: str | None
    checks: tuple[CheckRow, ...] = ()
    error: str = ""
    score: float | None = None
    """0 to 1, of all checks together; None: not graded."""
    tokens: tuple[TokenRow, ...] = ()
    """All of the answer's, in order, where their divergence is known."""
    passes: int | None = None
    """How many of the model's answers pass, where the case was asked several times; this one stands for them."""


@dataclass(frozen=True)
class CaseRow:
    """One case, before and after. A benchmark's item has its task as `suite` and may have no checks."""

    suite: str
    id: str
    kind: Kind
    before: AnswerRow
    after: AnswerRow
    messages: tuple[Message, ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""
    repeats: int = 1
    """How often each model was asked."""
    flaky: bool = False
    """Whether some answers of one of the models pass and some do not."""
