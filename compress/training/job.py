"""Job: all that a recovery rule works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compress.training.facts import Recovered
from compress.training.rows import Corpus
from compress.training.settings import Recovery

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from compress.calibration.stats import Stats
    from compress.progress import Progress
    from compress.training.performance import Observation

__all__ = ["Job", "Recovered"]


@dataclass(frozen=True)
class Job:
    """One pruned model that is to be recovered."""

    model: PreTrainedModel
    """Changed in place."""
    original: PreTrainedModel
    recovery: Recovery
    corpus: Corpus
    stats: Stats
    """Of the original: what the rule's `needs` asked for."""
    work: Path
    """Folder for states and caches; the caller removes it when the result is safe."""
    progress: Progress
    kept: tuple[int, ...] = ()
    """For every decoder layer of the model, the original's that it was; empty: none was dropped."""
    masked: bool = False
    """Whether weights that are zero have to stay zero."""
    observations: Callable[[], Sequence[Observation]] = tuple
    """Held-out losses by ranks of earlier recoveries, for rules that learn from them."""

    @property
    def uniform(self) -> tuple[int, ...]:
        """The recipe's rank for every decoder layer."""
        return (self.recovery.rank,) * len(self.stats.blocks)
