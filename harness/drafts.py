"""Write a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from harness.errors import HarnessError


def has_place(path: Path) -> bool:
    """Whether `write` may make this file: worth asking before long work that ends there."""
    return path.absolute().parent.is_dir() and not path.is_dir()


def write(path: Path, pieces: Iterable[str]) -> None:
    """Beside its place first, under a name of this process. Raises HarnessError if it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
        draft.replace(path)
    except OSError as error:
        raise HarnessError(f"{path}: cannot write: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
