"""Job: all that a recovery rule works with."""

from __future__ import annotations

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
