"""What a folder holds that is ours: each file, and the digest of all that is on it.

A name is written down before its file is, so that a file of ours is known as such though the process was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness import drafts
from harness.errors import HarnessError
from harness.site import Sheet
from reports.site.drawing import NAME

FILE = "site.json"


@dataclass(frozen=True)
class _Written:
    """The manifest as its file has it."""

    made_by: str
    files: dict[str, str]
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)


class Manifest:
    """The manifest of one folder, which is made if it is not there.

    files: name -> digest, empty while it is not known to be drawn. refused: name -> digest and why it cannot be drawn.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, str] = {}
        self.refused: dict[str, tuple[str, str]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = any(folder.iterdir())
        except OSError as error:
            raise HarnessError(f"{folder}: cannot make a site there: {error.strerror}; give a folder") from error
        if there:
            self._read()

    def _read(self) -> None:
        path = self.folder / FILE
        if not path.is_file():
            raise HarnessError(f"{self.folder} holds other files and no site; give an empty folder, or a new one")
        try:
            written = TypeAdapter(_Written).validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise HarnessError(
                f"{path} is not such as this version writes; remove the folder, or give another"
            ) from error
        strange = [name for name in (*written.files, *written.refused) if not NAME.fullmatch(name)]
        if strange or written.made_by != "secateur":
            raise HarnessError(
                f"{path} names {strange[:1] or written.made_by!r}, which is no file of a site; give another"
            )
        self.files, self.refused = written.files, written.refused

    def stale(self, sheet: Sheet) -> bool:
        """Whether a file must be drawn."""
        return self.files.get(sheet.name) != sheet.inputs or not (self.folder / sheet.name).is_file()

    def claim(self, names: Iterable[str]) -> None:
        """Write down that these files are ours, whatever is in them now."""
        self.files |= dict.fromkeys(names, "")
        self.keep()

    def keep(self) -> None:
        """Write the manifest, whole or not at all."""
        content = {"made_by": "secateur", "files": self.files, "refused": self.refused}
        drafts.write(self.folder / FILE, [json.dumps(content, indent=0, sort_keys=True)])

    def remove(self, names: Iterable[str]) -> None:
        """Delete files of ours."""
        for name in names:
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise HarnessError(f"{self.folder / name}: cannot remove: {error.strerror}") from error
            del self.files[name]
