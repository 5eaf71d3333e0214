"""Write a file of a page whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from reports.errors import ReportError


def save(text: str, path: Path) -> None:
    """Beside its place first. Raises ReportError if the folder is absent or cannot be written to."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise ReportError(f"{path}: cannot write the report: {error.strerror}") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise ReportError(f"{path}: cannot write the report: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
