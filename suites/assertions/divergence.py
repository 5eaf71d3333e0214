"""Where the answer parts from the original's: first-divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
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


TYPES: dict[str, type] = {"first-divergence": FirstDivergence}
