"""Reply: one answer as assertions see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from suites.advice import Advised, nobody

if TYPE_CHECKING:
    from suites.grading import Graded


@dataclass(frozen=True)
class Reply:
    """What a model said to one case, and what is known of how it came about; None where it is not known."""

    text: str
    finish: str | None = None
    """Why it ended, such as "stop" or "length"."""
    seconds: float | None = None
    cost: float | None = None
    tokens: tuple[int, ...] | None = None
    """Of the answer, in the model's own vocabulary."""
    logprobs: tuple[float, ...] | None = None
    """Natural logarithms, one a token of the answer."""
    divergences: tuple[float, ...] | None = None
    """Nats, one a token of the original's answer: how far the model is from the original, itself 0 from itself."""
    prompt: str = ""
    """What was asked: the text of the last message."""
    vars: Mapping[str, object] = field(default_factory=dict)
    graded: Graded | None = None
    """What those assertions of the case came to that look at this answer alone."""
    data: object = None
    """What a transform made of the answer, where that is no text; `text` is then its JSON."""
    advised: Advised = nobody
    """What others said of this answer when they were asked."""

    @property
    def output(self) -> object:
        """The answer as code is told it."""
        return self.text if self.data is None else self.data
