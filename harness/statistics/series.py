"""One metric of both models, item by item, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from harness.records import Scale
from harness.statistics.means import Labels, labels
from harness.statistics.paired import FloatArray

Summary = Literal["mean", "exp-mean", "losses"]
"""How items make the metric's value. exp-mean: exp of the mean, items are log-ratios. losses: a count of losses."""


def _nothing() -> FloatArray:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class Series:
    """Arrays have one entry an item, in the order of ids; NaN is absent, never zero."""

    metric: str
    unit: str
    higher_is_better: bool
    scale: Scale
    summary: Summary = "mean"
    paired: bool = True
    """False: measured on the candidate alone, `before` is all NaN."""
    ids: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    tags: tuple[frozenset[str], ...] = ()
    before: FloatArray = field(default_factory=_nothing)
    after: FloatArray = field(default_factory=_nothing)
    weights: FloatArray = field(default_factory=_nothing)
    before_value: float = math.nan
    """As measured; what counts where there are no items."""
    after_value: float = math.nan
    unanswered: int = 0
    """Items the candidate did not answer; on a yes-or-no metric they were counted as failed."""

    in_looks: bool = False
    """Whether the items were asked a few at a time; ids are then in the order in which they were drawn."""
    unasked: tuple[frozenset[str], ...] = ()
    """Tags of the items of the set that were not asked."""

    @property
    def total(self) -> int:
        """Items of the set that these were drawn from."""
        return len(self.ids) + len(self.unasked)

    @property
    def yes_or_no(self) -> bool:
        """Whether tables of counts describe it: 0 and 1 with equal weights."""
        return self.scale == "binary" and bool(np.all(self.weights == self.weights[:1]))

    @property
    def groups(self) -> Labels | None:
        """Cluster numbers, or None if every item is a cluster of its own."""
        numbers = labels(self.clusters)
        return None if np.unique(numbers).size == numbers.size else numbers

    @property
    def drops(self) -> FloatArray:
        """How much worse each item became, in the metric's own direction: the only sign rule there is."""
        return self.before - self.after if self.higher_is_better else self.after - self.before

    def where(self, tag: str) -> Series:
        """Only the items with this tag."""
        chosen = self._only(np.array([tag in tags for tags in self.tags], dtype=bool))
        return replace(chosen, unasked=tuple(tags for tags in self.unasked if tag in tags))

    def first(self, size: int) -> Series:
        """As it was when so many items had been asked."""
        chosen = self._only(np.arange(len(self.ids)) < size)
        return replace(chosen, unasked=(*self.tags[size:], *self.unasked))

    def answered_before(self) -> Series:
        """Only the items that the original answered."""
        return self._only(np.isfinite(self.before))

    def _only(self, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Series:
        chosen = np.flatnonzero(keep)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in chosen),
            clusters=tuple(self.clusters[i] for i in chosen),
            tags=tuple(self.tags[i] for i in chosen),
            before=self.before[chosen],
            after=self.after[chosen],
            weights=self.weights[chosen],
        )
