"""Which errand a worker does next: one of the model it has open, else of a model that few have open."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar


class Placeable(Protocol):
    @property
    def fingerprint(self) -> str:
        """Of the model that it is for."""
        ...


Kind = TypeVar("Kind", bound=Placeable)


class Queue(Generic[Kind]):
    """What waits to be done, by model, and how many workers have each model open.

    To open a model takes a worker seconds to minutes, so it keeps to its model as long as there is work for it. Then it
    takes one that nobody has open, and of these the one with most to do; at the end, when all are open somewhere, it
    helps where most waits for each worker.
    """

    def __init__(self, waiting: Iterable[Kind]) -> None:
        self._waiting: dict[str, deque[Kind]] = {}
        self._open: Counter[str] = Counter()
        for one in waiting:
            self._waiting.setdefault(one.fingerprint, deque()).append(one)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __contains__(self, model: str) -> bool:
        """Whether something waits for this model."""
        return model in self._waiting

    @property
    def models(self) -> int:
        """How many models something waits for."""
        return len(self._waiting)

    def add(self, more: Sequence[Kind]) -> None:
        """These come before what waits of their models: it is what came of work that was done."""
        for one in reversed(more):
            self._waiting.setdefault(one.fingerprint, deque()).appendleft(one)

    def drop(self, model: str) -> int:
        """Forget what waits for this model; returns how much that was."""
        return len(self._waiting.pop(model, ()))

    def take(self, holding: str | None) -> Kind | None:
        """The next errand of a worker that has this model open, or none; None: nothing waits."""
        if not self._waiting:
            return None
        model = holding if holding in self._waiting else max(self._waiting, key=self._need)
        assert model is not None
        if model != holding:
            self.closed(holding)
            self._open[model] += 1
        waiting = self._waiting[model]
        one = waiting.popleft()
        if not waiting:
            del self._waiting[model]
        return one

    def closed(self, model: str | None) -> None:
        """A worker has this model open no longer."""
        if model is not None:
            self._open[model] -= 1

    def _need(self, model: str) -> tuple[bool, float]:
        return self._open[model] == 0, len(self._waiting[model]) / (self._open[model] + 1)
