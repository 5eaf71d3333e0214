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
from compress.training.precision import precision_of
from compress.training.rows import Corpus

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
    part: tuple[int, int] = (0, 1)
    """Which of so many equal parts of the training rows is learned from; work is kept by the part."""


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
    with workplace(resources.work) as work, watched(EVERY_SECONDS) as peak:
        precision = precision_of(recovery, patient.original.device)
        data = corpus(recovery.data, tokenizer, patient.original, recovery.seed, progress, work, precision)
        data, own = _part(data, work, resources.part)
        kept = patient.shape.kept
        job = Job(
            model=patient.model,
            original=patient.original,
            recovery=recovery,
            corpus=data,
            stats=replace(patient.stats, blocks=tuple(patient.stats.blocks[index] for index in kept)),
            kept=kept,
            work=own,
            progress=progress,
            masked=recipe.chosen().removes == "weights",
            observations=resources.observations,
        )
        found = recovery.chosen().recover_(job)
    return replace(found, peak_bytes=peak[0])


def _part(data: Corpus, work: Path, part: tuple[int, int]) -> tuple[Corpus, Path]:
    """The part of the data, and the place for what belongs to it alone."""
    number, of = part
    if of == 1:
        return data, work
    rows = len(data.train)
    if rows < of:
        raise CompressError(
            f"steps: {rows} training rows for {of} steps; give more data, a smaller window or fewer steps"
        )
    own = _made(work / f"step-{number + 1}")
    return replace(data, train=data.train.between(number * rows // of, (number + 1) * rows // of)), own


@contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    """The folder, made if it is not there, or a temporary one. Raises CompressError where nothing can be written."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="secateur-recovery-") as temporary:
            yield Path(temporary)
        return
    _made(folder)
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing was put there


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CompressError(f"{folder}: cannot write there: {error.strerror}") from None
    return folder
