"""Statistics of calibrations, kept in the cache: one pass for every recipe that reads the same text."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from compress import Calibration, CompressError
from harness.digest import digest
from harness.errors import HarnessError
from harness.models.embedded import default_cache
from harness.models.fingerprint import file_sha256
from harness.models.subject import Subject
from harness.progress import Progress

if TYPE_CHECKING:
    from compress import Stats

PROTOCOL = "1"
"""Raised whenever a calibration may give other numbers than before."""
BESIDE = {"activations": "angles", "inputs": "angles"}
"""A need -> what is gathered with it, as it hardly costs anything: most other methods then need no second pass."""
COVERS = {"activations": {"inputs"}}
"""A need -> what else answers it."""
KEPT = 40
"""Files in the cache; the oldest go."""


@dataclass(frozen=True)
class Gathered:
    """Statistics, and where they came from."""

    stats: Stats
    seconds: float
    stored: datetime | None = None
    """When they were gathered, if it was not just now."""
    fault: str | None = None
    """Why they could not be kept for the next time."""

    def line(self) -> str:
        """For the terminal."""
        if self.stats.facts is None:
            return "none needed"
        read = f"{self.stats.facts.tokens:,} tokens of {self.stats.facts.source}"
        if self.stored is not None:
            return f"stored {self.stored:%Y-%m-%d %H:%M}, {read}"
        return f"gathered in {self.seconds:.1f} s, {read}" + (f"; not kept: {self.fault}" if self.fault else "")


def gathered(original: Subject, calibration: Calibration, needs: frozenset[str], progress: Progress) -> Gathered:
    """What one calibration of the original sees, from the cache if it holds at least that.

    Gram matrices are as large as the model, so with them nothing is kept.
    """
    from compress import calibrate
    from compress.calibration import statsfile

    loaded = original.plain()
    folder = default_cache() / "statistics" / _key(original, calibration)
    for path in _covering(folder, needs):
        try:
            stats = statsfile.load(path, loaded.model.device)
        except CompressError:
            continue  # damaged: gathered again and written over
        return Gathered(stats, 0.0, datetime.fromtimestamp(path.stat().st_mtime))
    start = time.perf_counter()
    needs |= {BESIDE[need] for need in needs if need in BESIDE}
    stats = calibrate(loaded.model, loaded.tokenizer, calibration, needs, progress)
    seconds = time.perf_counter() - start
    if not needs or "grams" in needs:
        return Gathered(stats, seconds)
    try:
        statsfile.save(stats, folder / f"{'+'.join(sorted(needs))}.safetensors")
    except CompressError as error:
        return Gathered(stats, seconds, fault=str(error))
    _sweep(folder.parent)
    return Gathered(stats, seconds)


def _key(original: Subject, calibration: Calibration) -> str:
    import torch
    import transformers

    versions = (torch.__version__, transformers.__version__)
    content = (calibration.model_dump(mode="json"), text_digest(calibration))
    return digest(PROTOCOL, versions, original.fingerprint, content)


def text_digest(calibration: Calibration) -> str:
    """What the text is; the built-in one comes with Python. Raises HarnessError if there is no such file."""
    if calibration.file is None:
        return f"builtin of Python {platform.python_version()}"
    try:
        return file_sha256(calibration.file)
    except OSError as error:
        raise HarnessError(f"{calibration.file}: cannot read calibration text: {error.strerror}") from None


def _covering(folder: Path, needs: frozenset[str]) -> list[Path]:
    """Stored statistics that answer all needs, the smallest first."""
    if not needs or not folder.is_dir():
        return []
    found = []
    for path in folder.glob("[!.]*.safetensors"):
        has = set(path.stem.split("+"))
        if all(need in has or COVERS.get(need, set()) & has for need in needs):
            found.append(path)
    return sorted(found, key=lambda path: path.stat().st_size)


def _sweep(folder: Path) -> None:
    """Remove all but the newest files."""
    files = sorted(folder.glob("*/[!.]*.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[KEPT:]:
        path.unlink(missing_ok=True)
