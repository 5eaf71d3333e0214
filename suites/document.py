"""Document: a YAML, JSON or JSONL file that knows its lines; and its validation with every fault at once."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails

from suites.errors import SuiteError
from suites.parse import Marks, Parsed, parse_json, parse_jsonl, parse_yaml

MAX_BYTES = 32 * 2**20
MAX_FAULTS = 50
READERS: Mapping[str, Callable[[str, str], Parsed]] = {
    ".yaml": parse_yaml,
    ".yml": parse_yaml,
    ".json": parse_json,
    ".jsonl": parse_jsonl,
}

STRANGE = "unknown key, like none that is known; "
"""How the fault begins of a key that a lenient model does without."""

Key = str | int
Trail = tuple[Key, ...]
WORDS = {"Input should be": "must be", "valid dictionary": "mapping", "valid tuple": "list", "a valid string": "text"}
"""What pydantic says, and what is said of YAML."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """A file's plain data (dict, list, str, int, float, bool, None) and where each part of it stands."""

    file: Path
    data: object
    marks: Marks
    passed_over: list[str] = field(default_factory=list)
    """Keys that are not like any that is known, without the numbers of elements."""

    def line(self, path: Sequence[Key]) -> int:
        """Return the line of a key or element, or of its nearest parent that exists."""
        marks = self.marks
        for key in path:
            if key not in marks.inside:
                break
            marks = marks.inside[key]
        return marks.line

    def fault(self, path: Sequence[Key], text: str) -> str:
        """Return one line that says where and what: "plan.yaml:7: gates[0].margin: must be greater than 0"."""
        where = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
        return f"{self.file}:{self.line(path)}: {where + ': ' if where else ''}{text}"


@dataclass(frozen=True)
class Place:
    """Where a part of a file is written."""

    document: Document
    path: Trail = ()

    def at(self, *inside: Key) -> Place:
        return Place(self.document, self.path + inside)

    @property
    def line(self) -> int:
        return self.document.line(self.path)

    def fault(self, text: object) -> str:
        return self.document.fault(self.path, str(text))


def read(path: str | Path) -> Document:
    """Read a .yaml, .yml, .json or .jsonl file; raises SuiteError with one clear line."""
    file = Path(path)
    if file.suffix.lower() not in READERS:
        if file.is_dir():
            raise SuiteError(f"{file}: is a folder; give a file")
        raise SuiteError(f"{file}: the name must end in {', '.join(READERS)}")
    text = read_text(file)
    parsed = READERS[file.suffix.lower()](text, str(file))
    if parsed.data is None:
        raise SuiteError(f"{file}: the file is empty")
    return Document(file, parsed.data, parsed.marks)


def read_text(file: Path) -> str:
    """Return the text of a UTF-8 file of at most 32 MiB; raises SuiteError with one clear line."""
    try:
        if file.is_dir():
            raise SuiteError(f"{file}: is a folder; give a file")
        if not file.is_file():
            raise SuiteError(f"{file}: no such file")
        if file.stat().st_size > MAX_BYTES:
            raise SuiteError(f"{file}: larger than {MAX_BYTES // 2**20} MiB; split it")
        content = file.read_bytes()
    except OSError as error:
        raise SuiteError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The offset counts from after a byte order mark; the line is the same either way.
        line = content.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise SuiteError(f"{file}:{line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8") from error


def suggestion(word: str, allowed: Collection[str]) -> str:
    """Return ", did you mean 'x'?" for the nearest allowed word, or nothing."""
    near = difflib.get_close_matches(word, allowed, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def refuse(faults: Sequence[str]) -> None:
    """Raise one SuiteError with all faults, a line each; do nothing if there are none."""
    if faults:
        raise SuiteError(_joined(faults))


def _joined(faults: Sequence[str]) -> str:
    lines = list(dict.fromkeys(line for fault in faults for line in fault.split("\n")))
    more = len(lines) - MAX_FAULTS
    return "\n".join([*lines[:MAX_FAULTS], *([f"... and {more} more"] if more > 0 else [])])


def validated(document: Document, model: type[M]) -> M:
    """Return the document as a pydantic model; raises SuiteError with every fault, one line each.

    A model may say of keys why they are refused, as `refused: ClassVar[Mapping[str, str]]`, and of fields why they are
    not used, as `unused`: these are not recommended. Where it says `lenient`, keys that are not like any of its own are
    taken out of the data and noted.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        told = _told(error.errors(include_url=False), document, model)
        wrong = [document.fault(path, text) for path, text in told if not text.startswith(STRANGE)]
        if wrong:
            raise SuiteError(_joined(wrong)) from error
    for path, _ in told:
        _pass_over_(document, path)
    return validated(document, model)


def _pass_over_(document: Document, path: Trail) -> None:
    """Take a key out of the data; where an alias repeats a part of them, it may be gone already."""
    inside: Any = document.data
    for key in path[:-1]:
        inside = inside[key]
    if inside.pop(path[-1], None) is not None:
        document.passed_over.append(".".join(str(key) for key in path if isinstance(key, str)))


def _told(faults: Sequence[ErrorDetails], document: Document, model: type[BaseModel]) -> list[tuple[Trail, str]]:
    """Return where and what for each fault, by line; branches of a union that say nothing new are left out."""
    where = [_split(document.data, fault) for fault in faults]
    parents = {path[:length] for path, _ in where for length in range(len(path))}
    told: dict[Trail, list[str]] = {}
    for fault, (path, label) in zip(faults, where, strict=True):
        if label and path in parents:
            continue
        text = _words(fault, model)
        texts = told.setdefault(path, [])
        if label and texts:
            texts[-1] = texts[-1].partition(", found ")[0]
            text = text.replace("must be ", "or ")
        if text not in texts:
            texts.append(text)
    return sorted(((path, " ".join(texts)) for path, texts in told.items()), key=lambda entry: document.line(entry[0]))


def _split(data: object, fault: ErrorDetails) -> tuple[Trail, bool]:
    """Return the path inside the data, and whether the location ends in pydantic's label of a union branch."""
    path: list[Key] = []
    label = False
    location = fault["loc"]
    for number, key in enumerate(location):
        inside = isinstance(data, dict) and key in data
        label = not inside and not (isinstance(data, list) and isinstance(key, int) and key < len(data))
        if label and fault["type"] == "missing" and number == len(location) - 1:
            return (*path, key), False
        if not label:
            data = data[key]  # type: ignore[index]
            path.append(key)
    return tuple(path), label


def _words(fault: ErrorDetails, model: type[BaseModel]) -> str:
    kind, location = fault["type"], fault["loc"]
    if kind == "extra_forbidden":
        return _unknown(str(location[-1]), next(_models(model, list(location[:-1])), None))
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        return str(fault["ctx"]["error"])
    text = re.sub(r" or instance of \w+", "", fault["msg"])
    for theirs, ours in WORDS.items():
        text = text.replace(theirs, ours)
    text, found = text.replace("a valid ", "a "), fault["input"]
    if not isinstance(found, str | int | float) or len(str(found)) > 60:
        return text
    words = re.findall("'([^']*)'", text) if kind == "literal_error" else []
    return f"{text}, found {found!r}{suggestion(str(found), words)}"


def _unknown(key: str, model: type[BaseModel] | None) -> str:
    fields = {} if model is None else {field.alias or name: name for name, field in model.model_fields.items()}
    unused, refused = getattr(model, "unused", {}), getattr(model, "refused", {})
    allowed = f"allowed: {', '.join(sorted(shown for shown, name in fields.items() if name not in unused))}"
    if key in refused:
        return f"{refused[key]}; {allowed}"
    near = suggestion(key, fields)
    strange = STRANGE if getattr(model, "lenient", False) else "unknown key; "
    return f"unknown key{near} {allowed}" if near else f"{strange}{allowed}"


def _models(kind: Any, location: list[Key]) -> Iterator[type[BaseModel]]:
    """Follow a pydantic location through a type annotation to the models that stand there."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _models(get_args(kind)[0], location)
    elif origin in (Union, types.UnionType):
        named = [arm for arm in get_args(kind) if location and getattr(arm, "__name__", "") == location[0]]
        for arm in named or get_args(kind):
            # pydantic names some arms in the location, others not.
            yield from _models(arm, location)
            yield from _models(arm, location[1:])
    elif origin is not None and location:
        yield from _models(get_args(kind)[-1 if issubclass(origin, Mapping) else 0], location[1:])
    elif isinstance(kind, type) and issubclass(kind, RootModel):
        yield from _models(kind.model_fields["root"].annotation, location)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if not location:
            yield kind
        for name, field in kind.model_fields.items():
            if location and location[0] == (field.alias or name):
                yield from _models(field.annotation, location[1:])
