"""Hidden drafts beside the place where something is going to be; those of killed processes are swept away."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def draft(place: Path) -> Path:
    """A new hidden folder beside `place`, named after this process; its parents are made."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{place.name}-{os.getpid()}-", dir=place.parent))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file that takes its place when all that is done inside went well; else nothing is left of it.

    Raises OSError.
    """
    sweep(path)
    room = draft(path)
    try:
        yield room / path.name
        (room / path.name).replace(path)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def sweep(place: Path) -> None:
    """Remove drafts of this place whose process is gone."""
    for left in place.parent.glob(f".{glob.escape(place.name)}-*-*"):
        owner = left.name.removeprefix(f".{place.name}-").partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
