"""Where results of many machines lie together: a folder that all of them see, or an object store by fsspec.

Whatever is put there is a folder of its own, named once and never changed: `schema-14/job=ab12cd34/`. It counts as
there once its manifest is: in a folder of files it is renamed into its place, to an object store its manifest is sent
last.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.digest import digest
from harness.errors import HarnessError

MANIFEST = "manifest.json"
PATH = re.compile(r"[\w-]{1,40}/[a-z]{1,20}=[\w-]{1,64}/([a-z_]{1,40}\.parquet|manifest\.json)", re.ASCII)
"""Of what is read; anything else that lies there is nobody's."""
AT_ONCE = 200
"""Files copied from an object store in one go."""


class Place(Protocol):
    """Folders of files, by paths relative to it such as schema-14/job=1/jobs.parquet."""

    @property
    def name(self) -> str:
        """The same for the same place."""
        ...

    def paths(self) -> Iterator[str]:
        """Of all files."""
        ...

    def read(self, paths: Sequence[str]) -> dict[str, bytes]: ...

    @contextmanager
    def room(self) -> Iterator[Path]:
        """A folder here in which to make what is put there."""
        ...

    def put(self, made: Path, path: str) -> None:
        """Put a folder that was made in the room to this path."""
        ...

    def fetched(self, folders: Mapping[str, Sequence[str]]) -> Path:
        """A folder here that holds these folders, with these files and their manifests."""
        ...


def place(text: str) -> Place:
    """A folder's path, or a URL such as s3://bucket/team.

    Raises HarnessError for a URL that fsspec does not know, or that needs a package.
    """
    if "://" not in text:
        return Folder(Path(text).expanduser().resolve())
    with _told(text):
        import fsspec

        try:
            system, root = fsspec.core.url_to_fs(text)
        except ImportError as error:
            raise HarnessError(f"{text}: {error}; for s3:// pip install 'secateur[s3]'") from error
        return Objects(text.rstrip("/"), system, str(root).rstrip("/"))


@dataclass(frozen=True)
class Folder:
    """One that every machine sees."""

    root: Path

    @property
    def name(self) -> str:
        return str(self.root)

    def paths(self) -> Iterator[str]:
        with _told(self.name):
            for folder, _, files in os.walk(self.root):
                below = Path(folder).relative_to(self.root).as_posix()
                yield from (f"{below}/{file}" for file in files)

    def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        with _told(self.name):
            return {path: (self.root / path).read_bytes() for path in paths}

    @contextmanager
    def room(self) -> Iterator[Path]:
        # Beside the places, for a rename works within one file system. What a killed process leaves is hidden.
        with _told(self.name):
            self.root.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.root))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def put(self, made: Path, path: str) -> None:
        with _told(self.name):
            (self.root / path).parent.mkdir(exist_ok=True)
            made.rename(self.root / path)

    def fetched(self, folders: Mapping[str, Sequence[str]]) -> Path:
        return self.root


@dataclass(frozen=True)
class Objects:
    """What fsspec reaches. Read is a copy in the cache, to which only what is new is fetched."""

    name: str
    system: Any
    """An fsspec file system."""
    root: str

    def paths(self) -> Iterator[str]:
        with _told(self.name):
            for path in self.system.find(self.root):
                yield str(path).removeprefix(self.root).lstrip("/")

    def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        with _told(self.name):
            found = self.system.cat([self._at(path) for path in paths]) if paths else {}
            return {path: found[self._at(path)] for path in paths}

    @contextmanager
    def room(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="secateur-") as made:
            yield Path(made)

    def put(self, made: Path, path: str) -> None:
        with _told(self.name):
            files = sorted(made.iterdir(), key=lambda file: file.name == MANIFEST)
            for file in files:
                self.system.pipe_file(self._at(f"{path}/{file.name}"), file.read_bytes())

    def fetched(self, folders: Mapping[str, Sequence[str]]) -> Path:
        from compress import drafts

        root = cache(self)
        wanted = [path for path in folders if not (root / path).is_dir()]
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            files = [f"{path}/{file}" for path in some for file in (*folders[path], MANIFEST)]
            rooms = {path: drafts.draft(root / path) for path in some}
            try:
                for file, content in self.read(files).items():
                    path, _, last = file.rpartition("/")
                    (rooms[path] / last).write_bytes(content)
                for path, made in rooms.items():
                    self._keep(made, root / path)
            finally:
                for made in rooms.values():
                    shutil.rmtree(made, ignore_errors=True)
        return root

    def _keep(self, made: Path, there: Path) -> None:
        """Rename what was fetched, if it is what the manifest says; another process may have been faster."""
        said = manifest((made / MANIFEST).read_bytes(), f"{self.name}/{there.name}")["files"]
        for file, size in said.items():
            if not (made / file).is_file() or (made / file).stat().st_size != size:
                raise HarnessError(f"{self.name}: {there.name}/{file} is not whole; its manifest says {size} bytes")
        if not there.is_dir():
            made.rename(there)

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"


def manifest(text: bytes, where: str) -> dict[str, Any]:
    """A folder's own word: `started`, of what is in it, and `files`, name to bytes."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{where}: {MANIFEST} is not valid JSON: {error}") from error
    match data:
        case {"started": str(), "files": dict(files)} if all(PATH.fullmatch(f"x/x=x/{file}") for file in files):
            return dict(data)
    form = '{"started": TIME, "files": {"jobs.parquet": 812}}'
    raise HarnessError(f"{where}: not a manifest; it has the form {form}")


def cache(where: Place) -> Path:
    """The folder that belongs to a place in the cache."""
    from harness.models.embedded import default_cache

    return default_cache() / "shared" / digest(where.name)[:16]


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever goes wrong with a place, in one line: an object store's library raises errors of many kinds."""
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        first = " ".join(str(error).split())[:300]
        raise HarnessError(f"{name}: {first or type(error).__name__}") from error
