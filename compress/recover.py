"""Bring back what a cut has lost: data, a job, and the recipe's rule."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.calibration.stats import Stats
from compress.costs import watched
from compress.errors import CompressError
from compress.progress import Progress, silent
from compress.recipe import Recipe
from compress.shape import Shape
from compress.training.data import corpus
from compress.training.facts import Recovered
from compress.training.job import Job

if TYPE_CHECKING:
    from compress.training.performance import Observation

EVERY_SECONDS = 0.02
"""Between two readings of the memory."""


@dataclass(frozen=True)
class Resources:
    """What a recovery may use besides the pruned model."""

    original: PreTrainedModel | None = None
    """As it was before the cut; None: a copy is made of the model that is going to be cut."""
    work: Path | None = None
    """Folder for what an interrupted recovery goes on from; the caller removes it when the result is safe. None: a
    temporary one, and nothing goes on."""
    observations: Callable[[], Sequence[Observation]] = tuple
    """Held-out losses by ranks of earlier recoveries, for rules that learn from them."""


@dataclass(frozen=True)
class Patient:
    """A model that was cut, and what it was before."""

    model: PreTrainedModel
    original: PreTrainedModel
    shape: Shape
    stats: Stats
    """Of the original."""


def recover_(
    patient: Patient,
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase,
    resources: Resources,
    progress: Progress = silent,
) -> Recovered:
    """Recover the cut model in place, as the recipe says.

    Raises CompressError on unusable data, a loss of NaN, a full disk, or work begun with other data or settings.
    """
    recovery = recipe.recovery
    assert recovery is not None
    with _workplace(resources.work) as work, watched(EVERY_SECONDS) as peak:
        data = corpus(recovery.data, tokenizer, patient.original, recovery.seed, progress, cache=work)
        kept = patient.shape.kept
        job = Job(
            model=patient.model,
            original=patient.original,
            recovery=recovery,
            corpus=data,
            stats=replace(patient.stats, blocks=tuple(patient.stats.blocks[index] for index in kept)),
            kept=kept,
            work=work,
            progress=progress,
            masked=recipe.chosen().removes == "weights",
            observations=resources.observations,
        )
        found = recovery.chosen().recover_(job)
    return replace(found, peak_bytes=peak[0])


@contextmanager
def _workplace(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="secateur-recovery-") as temporary:
            yield Path(temporary)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompressError(f"{folder}: cannot write there: {error.strerror}") from None
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing was put there
