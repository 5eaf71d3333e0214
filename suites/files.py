"""Files that a suite names: file:// addresses, plain paths, globs and folders, kept inside the suite's own folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from suites.document import MAX_BYTES, read, read_text
from suites.errors import SuiteError, UnsupportedError
from suites.program import Program
from suites.script import Script, file_script

FILE = "file://"
MAX_FILES = 10_000
MAX_READ = 8 * MAX_BYTES
"""Bytes of all files of one suite that are kept, such as values of vars."""
DATA = (".yaml", ".yml", ".json")
SCRIPTS = (".js", ".cjs", ".mjs")
PROGRAMS = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".sh", ".bash", ".exe", ".pl")
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".svg", ".pdf", ".mp3", ".wav", ".mp4", ".webm", ".mov")
ELSEWHERE = re.compile(r"(?!file://)[a-z][a-z0-9+.-]*://|exec:|package:")
GLOB = re.compile(r"[*?\[]")


def names_a_file(value: object) -> bool:
    """Return whether a value, or one in a list, stands in a file and not here."""
    if isinstance(value, list):
        return any(map(names_a_file, value))
    return isinstance(value, str) and value.startswith(FILE)


def _is_program(address: str) -> bool:
    """Return whether an address, with or without the name of a function behind it, is of a program."""
    return Path(address).suffix.partition(":")[0].lower() in PROGRAMS


@dataclass(frozen=True)
class Files:
    """The files of one suite, each read once."""

    folder: Path
    """Where addresses begin, that of the suite's own file."""
    outside: bool = False
    """Whether addresses may lead out of the folder."""
    kept: dict[Path, object] = field(default_factory=dict)

    def all(self, address: str, kinds: Collection[str]) -> list[Path]:
        """Return the files that an address names, sorted: one, those that fit a glob, or those of a folder.

        kinds: allowed ends of names, with their dots; none given: any but programs and pictures. Raises SuiteError
        for a file of another kind, one that is not there, and one outside the folder.
        """
        path = self._path(address)
        try:
            if GLOB.search(path.name) or GLOB.search(str(path.parent)):
                found = sorted(self._matching(path, address, kinds))
            elif path.is_dir():
                found = sorted(each for each in path.iterdir() if each.is_file() and each.suffix.lower() in kinds)
            else:
                return [self._checked(path, address, kinds)]
        except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
            raise SuiteError(f"{address!r} is not a path") from error
        if not found:
            raise SuiteError(f"{address!r}: no such file")
        return [self._checked(each, address, kinds) for each in found]

    def one(self, address: str, kinds: Collection[str] = ()) -> Path:
        """Return the one file that an address names; raises SuiteError as `all` does."""
        return self._checked(self._path(address), address, kinds)

    def text(self, file: Path) -> str:
        """Return the text of a file, without white space at its ends."""
        if file not in self.kept:
            self._keep_(file, read_text(file).strip())
        return str(self.kept[file])

    def value(self, address: str) -> object:
        """Return what a file says: the data of YAML or JSON, the text of another."""
        file = self.one(address, (*DATA, ".txt", ".md"))
        if file.suffix.lower() not in DATA:
            return self.text(file)
        if file not in self.kept:
            self._keep_(file, read(file).data)
        return self.kept[file]

    def program(self, address: str, function: str) -> Program | Script:
        """Return the Python or JavaScript that an address names.

        Called is what a name behind the file's says, or else `function` in Python, the default export in JavaScript.
        """
        path, _, named = address.removeprefix(FILE).partition(":")
        file = self._path(path)
        self._refuse_outside(file, address)
        kind = file.suffix.lower()
        if kind not in (".py", *SCRIPTS):
            allowed = ", ".join([".py", *SCRIPTS])
            raise UnsupportedError(f"{address!r}: this kind of program is not supported; allowed: {allowed}")
        if kind == ".py":
            return Program(read_text(file), named or function, file.name, str(file.resolve().parent))
        try:
            return file_script(read_text(file), named)
        except UnsupportedError as error:
            raise UnsupportedError(f"{address!r}: {error}") from error

    def _keep_(self, file: Path, content: object) -> None:
        self.kept[file] = content
        if sum(each.stat().st_size for each in self.kept) > MAX_READ:
            raise SuiteError(f"{file}: the suite names more than {MAX_READ // 2**20} MiB of files; split it")

    def _path(self, address: str) -> Path:
        if ELSEWHERE.match(address):
            raise SuiteError(f"{address!r}: nothing is brought from elsewhere; put a file beside the suite")
        return self.folder / address.removeprefix(FILE)

    def _matching(self, path: Path, address: str, kinds: Collection[str]) -> Iterator[Path]:
        """Yield the files that fit a glob; what comes before its first star must already be inside."""
        parts = path.parts
        first = next(number for number, part in enumerate(parts) if GLOB.search(part))
        start = Path(*parts[:first])
        self._refuse_outside(start, address)
        for number, found in enumerate(start.glob("/".join(parts[first:]))):
            if number >= MAX_FILES:
                raise SuiteError(f"{address!r}: more than {MAX_FILES} files")
            if found.is_file() and (not kinds or found.suffix.lower() in kinds):
                yield found

    def _checked(self, file: Path, address: str, kinds: Collection[str]) -> Path:
        self._refuse_outside(file, address)
        suffix = file.suffix.lower()
        if _is_program(file.name):
            raise SuiteError(f"{address!r} is a program; a suite runs none, write down what it makes")
        if kinds and suffix not in kinds:
            raise SuiteError(f"{address!r}: this kind of file is not supported; allowed: {', '.join(kinds)}")
        if suffix in PICTURES:
            raise SuiteError(f"{address!r} is no text; a model of text cannot be shown it")
        if not file.is_file():
            raise SuiteError(f"{address!r}: no such file")
        return file

    def _refuse_outside(self, path: Path, address: str) -> None:
        try:
            inside = self.outside or path.resolve().is_relative_to(self.folder.resolve())
            path.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise SuiteError(f"{address!r} is not a path") from error
        if not inside:
            raise SuiteError(f"{address!r} leads out of the suite's folder; allow it by --allow-outside")
