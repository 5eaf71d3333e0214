"""Make a candidate from a recipe, once: the same recipe on the same original is the same folder."""

from __future__ import annotations

import copy
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from compress import Receipt, Recipe, load_recipe
from harness.digest import digest
from harness.errors import HarnessError
from harness.fingerprint import file_sha256, identity
from harness.progress import Progress
from harness.quiet import quiet
from harness.subject import Subject

if TYPE_CHECKING:
    from compress import Stats

PROTOCOL = "1"
"""Raised whenever the same recipe may give another model than before."""


class Workshop:
    """Makes several candidates of one original; recipes that share a calibration share its one forward pass."""

    def __init__(self, original: Subject, folder: Path, progress: Progress) -> None:
        self.original = original
        self.folder = folder
        self.progress = progress
        self._stats: dict[str, Stats] = {}

    def made(self, name: str, recipe: Recipe) -> Path:
        """The folder of the candidate, made now if it is not there."""
        calibration = recipe.calibration.file
        text = file_sha256(calibration) if calibration else "builtin"
        key = digest(PROTOCOL, self.original.fingerprint, recipe.model_dump(mode="json"), text)
        folder = self.folder / f"{name}-{key[:12]}"
        with _alone(folder):
            if not _sound(folder):
                shutil.rmtree(folder, ignore_errors=True)
                make(self.original, recipe, folder, self.progress, self._calibrated(recipe, text))
                _seal(folder)
        return folder

    def _calibrated(self, recipe: Recipe, text: str) -> Stats:
        from compress import calibrate

        needs = recipe.needs
        key = digest(recipe.calibration.model_dump(mode="json"), text, sorted(needs))
        if key not in self._stats:
            loaded = self.original.loaded()
            self._stats[key] = calibrate(loaded.model, loaded.tokenizer, recipe.calibration, needs, self.progress)
        return self._stats[key]


def make(original: Subject, recipe: Recipe, folder: Path, progress: Progress, stats: Stats | None = None) -> Receipt:
    """Compress a copy of the original into `folder`, which appears whole or not at all.

    Raises CompressError if the folder is already there, or the recipe cannot be obeyed.
    """
    from compress import apply, checkpoint

    checkpoint.refuse_target(folder)
    loaded = original.loaded()
    model = copy.deepcopy(loaded.model)
    receipt = apply(model, recipe, loaded.tokenizer, stats=stats, progress=progress)
    progress(f"saving {folder.name}", 0, 1)
    with quiet():
        checkpoint.save(model, loaded.tokenizer, folder, receipt)
    progress(f"saving {folder.name}", 1, 1)
    return receipt


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time makes a candidate; the lock ends with the process, however it ends."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise HarnessError(f"{folder}: cannot make a candidate there: {error.strerror or error}") from error


def _seal(folder: Path) -> None:
    """Write down what the folder holds, so that a damaged or edited one is noticed."""
    path = folder.with_name(f"{folder.name}.sha256")
    draft = path.with_name(f".{path.name}")
    draft.write_text(identity((folder,), "made"))
    draft.replace(path)


def _sound(folder: Path) -> bool:
    """Whether the folder is what was made; an edited, damaged or unsealed one is made again."""
    from compress import CompressError, read_receipt

    try:
        read_receipt(folder)
        return folder.with_name(f"{folder.name}.sha256").read_text() == identity((folder,), "made")
    except (OSError, CompressError):
        return False


def recipe_of(recipe: str | Recipe) -> Recipe:
    """A recipe of the plan: inline, or by name or file."""
    return load_recipe(recipe) if isinstance(recipe, str) else recipe
