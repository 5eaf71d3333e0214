"""Where the answer parts from the original's, and how far the models are apart on the way: first-divergence, kl-max."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from suites.assertions import Check, found
from suites.errors import SuiteError, UndecidedError
from suites.reply import Reply


@dataclass(frozen=True)
class FirstDivergence:
    """The first so many tokens are the original's, or all of them are; the score is the share of tokens before that.

    Tokens are numbers of a vocabulary: candidates that changed theirs part at once.
    """

    threshold: float
    needs: ClassVar[frozenset[str]] = frozenset({"original", "tokens"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        assert original is not None, "Asserted.check asks for the original"
        if answer.tokens is None or original.tokens is None:
            raise SuiteError("first-divergence: the tokens of the answers are not known")
        longest = max(len(answer.tokens), len(original.tokens))
        pairs = zip(answer.tokens, original.tokens, strict=False)
        parts = next((place for place, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
        if parts is None:
            parts = min(len(answer.tokens), len(original.tokens))
        if parts == longest:
            return Check("first-divergence", True, 1.0, f"all {longest} tokens are the original's")
        reason = f"the answers part after {parts} tokens, the rule says {self.threshold:g} at least"
        return Check("first-divergence", parts >= self.threshold, parts / longest, reason)


@dataclass(frozen=True)
class KlMax:
    """The two models' distributions of the next token differ by no more than the threshold, over the original's answer.

    KL(original || candidate) in nats, at each token that the original said, both models having read the same: the mean
    of them (if no value is given), or with the value max the largest. 0 for the original itself.
    """

    threshold: float
    value: object = "mean"
    needs: ClassVar[frozenset[str]] = frozenset({"original", "divergences"})

    def __post_init__(self) -> None:
        if self.value not in ("mean", "max"):
            raise SuiteError("kl-max: the value must be mean or max")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        if answer.divergences is None:
            raise UndecidedError("the divergence of the models at the tokens of this answer is not known")
        if not answer.divergences:
            return found("kl-max", True, "the original's answer has no tokens")
        number = max(answer.divergences) if self.value == "max" else fmean(answer.divergences)
        what = f"the {'largest' if self.value == 'max' else 'mean'} divergence of {len(answer.divergences)} tokens"
        return found(
            "kl-max", number <= self.threshold, f"{what} is {number:.4g}, the rule says {self.threshold:g} at most"
        )


TYPES: dict[str, type] = {"first-divergence": FirstDivergence, "kl-max": KlMax}
