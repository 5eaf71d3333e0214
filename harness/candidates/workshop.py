"""Candidates of one original, each made once: the same recipe on the same original is the same folder."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from compress import Calibration, Recipe
from harness import drafts
from harness.candidates.calibrations import gathered, text_digest
from harness.candidates.making import Observed, Order, make
from harness.digest import digest
from harness.errors import HarnessError
from harness.models.fingerprint import file_sha256, identity
from harness.models.subject import Subject
from harness.progress import Progress

if TYPE_CHECKING:
    from compress import Stats

PROTOCOL = "3"
"""Raised whenever the same recipe may give another model than before."""


class Workshop:
    """Makes several candidates of one original; recipes that read the same text share one pass over it."""

    def __init__(
        self,
        original: Subject,
        folder: Path,
        recipes: Mapping[str, Recipe],
        progress: Progress,
        observations: Observed = tuple,
    ) -> None:
        """recipes: all candidates that will be made, by name. observations: what earlier recoveries tell of ranks."""
        self.observations = observations
        self.original = original
        self.folder = folder
        self.recipes = recipes
        self.progress = progress
        self._waiting = [recipe for name, recipe in recipes.items() if not self.place(name).exists()]
        self._stats: dict[str, Stats] = {}

    def made(self, name: str) -> Path:
        """The folder of the candidate, made now if it is not there."""
        folder = self.place(name)
        with _alone(folder):
            if not _sound(folder):
                shutil.rmtree(folder, ignore_errors=True)
                recipe, work = self.recipes[name], self._shared_work(name)
                order = Order(recipe, folder, work=work)
                with _alone(work) if work else nullcontext():
                    make(self.original, order, self.progress, self._calibrated(recipe), self.observations)
                _seal(folder)
                if work is not None and all(self.place(other).exists() for other in self._twins(name)):
                    shutil.rmtree(work, ignore_errors=True)
        return folder

    def missing(self) -> list[tuple[str, ...]]:
        """The candidates that are not all there; those together whose recoveries train the same."""
        groups: dict[str, list[str]] = {}
        for name, recipe in self.recipes.items():
            trained = _trained(recipe)
            groups.setdefault(name if trained is None else made_key(self.original, trained), []).append(name)
        return [tuple(group) for group in groups.values() if not all(self.place(name).exists() for name in group)]

    def place(self, name: str) -> Path:
        """Where a candidate is, or will be."""
        return self.folder / f"{name}-{made_key(self.original, self.recipes[name])[:12]}"

    def _twins(self, name: str) -> list[str]:
        """All candidates that train what this one does; some of them merge their adapters, some do not."""
        trained = _trained(self.recipes[name])
        return [other for other, recipe in self.recipes.items() if trained is not None and _trained(recipe) == trained]

    def _shared_work(self, name: str) -> Path | None:
        """Where twins work on their recovery, so that what one has trained the other need not train again."""
        if len(self._twins(name)) < 2:
            return None
        trained = _trained(self.recipes[name])
        assert trained is not None
        return self.folder / f".{made_key(self.original, trained)[:12]}.recovery"

    def _calibrated(self, recipe: Recipe) -> Stats:
        """What this recipe needs, gathered together with what the others need.

        Gram matrices are gathered for one recipe alone and not held: they are as large as the model.
        """
        if not recipe.needs or "grams" in recipe.needs:
            from compress import calibrate

            loaded = self.original.plain()
            return calibrate(loaded.model, loaded.tokenizer, recipe.calibration, recipe.needs, self.progress)
        needs = recipe.needs | self._shared(recipe.calibration)
        key = digest(recipe.calibration.model_dump(mode="json"), sorted(needs))
        if key not in self._stats:
            self._stats[key] = gathered(self.original, recipe.calibration, needs, self.progress).stats
        return self._stats[key]

    def _shared(self, calibration: Calibration) -> frozenset[str]:
        """What all recipes that were not made before need of this calibration."""
        needs = [recipe.needs for recipe in self._waiting if recipe.calibration == calibration]
        return frozenset().union(*(need for need in needs if "grams" not in need))


def _trained(recipe: Recipe) -> Recipe | None:
    """The recipe as far as its training goes; None: it trains nothing."""
    if recipe.recovery is None:
        return None
    return recipe.model_copy(update={"recovery": recipe.recovery.model_copy(update={"merge": True})})


def made_key(original: Subject, recipe: Recipe) -> str:
    """Equal for what is made of the same original by the same recipe from the same files."""
    read = [text_digest(recipe.calibration), *(file_sha256(path) for path in recipe.files)]
    return digest(PROTOCOL, original.fingerprint, recipe.model_dump(mode="json"), read)


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
    drafts.write(path, [identity((folder,), "made")])


def _sound(folder: Path) -> bool:
    """Whether the folder is what was made; an edited, damaged or unsealed one is made again."""
    from compress import CompressError, read_receipt

    try:
        read_receipt(folder)
        return folder.with_name(f"{folder.name}.sha256").read_text() == identity((folder,), "made")
    except (OSError, CompressError):
        return False
