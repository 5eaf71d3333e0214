"""Ask a judge, and a model of embeddings, what the assertions of a suite want to know of its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from harness.progress import Progress
from suites.advice import Advice, Question

Keep = Callable[[Mapping[Question, Advice]], None]


class Adviser(Protocol):
    """One model that replies to questions of one kind."""

    @property
    def name(self) -> str:
        """What a reader calls it."""
        ...

    @property
    def identity(self) -> str:
        """Of all that decides what it replies, so that a reply can be used again."""
        ...

    def ask(self, questions: Sequence[Question], keep: Keep, progress: Progress) -> None:
        """Reply to every question once, handing replies over as they come; what cannot be replied to has an error."""
        ...

    def release(self) -> None:
        """Forget the weights, or hang up."""
        ...
