"""How sure the model was of its own answer: perplexity, perplexity-score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
from suites.reply import Reply


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-probability of the answer's tokens is at most the threshold.

    Without a threshold both forms always pass, as in promptfoo.
    """

    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        value = _perplexity("perplexity", answer)
        if value is None:
            return _empty("perplexity")
        reason = f"the perplexity of the answer is {value:.4g}"
        if self.threshold is None:
            return Check("perplexity", True, 1.0, reason, turned=(True, 1.0))
        holds = value <= self.threshold
        return Check("perplexity", holds, float(holds), f"{reason}, the rule says {self.threshold:g} at most")


@dataclass(frozen=True)
class PerplexityScore:
    """1 / (1 + perplexity) is at least the threshold; without one, both forms always pass."""

    threshold: float | None = None
    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        value = _perplexity("perplexity-score", answer)
        if value is None:
            return _empty("perplexity-score")
        score = 1 / (1 + value)
        reason = f"the perplexity score of the answer is {score:.4g}"
        if self.threshold is None:
            return Check("perplexity-score", True, score, reason, turned=(True, 1 - score))
        holds = score >= self.threshold
        return Check("perplexity-score", holds, score, f"{reason}, the rule says {self.threshold:g} at least")


def _perplexity(type: str, answer: Reply) -> float | None:
    """Return exp of the mean negative log-probability, None for an answer without tokens."""
    if answer.logprobs is None:
        raise SuiteError(f"{type}: the log-probabilities of the answer's tokens are not known")
    if not answer.logprobs:
        return None
    try:
        return math.exp(-sum(answer.logprobs) / len(answer.logprobs))
    except OverflowError:
        return math.inf


def _empty(type: str) -> Check:
    """Return the check of an answer that has no perplexity: it fails in both forms."""
    return Check(type, False, 0.0, "the answer has no tokens", turned=(False, 0.0))


TYPES: dict[str, type] = {"perplexity": Perplexity, "perplexity-score": PerplexityScore}
