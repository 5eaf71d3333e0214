"""The `prompts` of a suite -> Prompts: texts, files of seven kinds, globs, labels."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from suites.document import Place, read, read_text, validated
from suites.errors import SuiteError
from suites.files import FILE, GLOB, Files
from suites.form import PromptPart, PromptsPart
from suites.parse import parse_json
from suites.prompts import Prompt, chat_of
from suites.registry import REGISTRY, frozen
from suites.templates import has_template

ELSEWHERE = ("exec:", "portkey://", "langfuse://", "helicone://")
MAX_NAME = 250
Entry = tuple[str | PromptPart, Place]


def prompts_of(given: PromptsPart, place: Place, files: Files, faults: list[str]) -> Iterator[Prompt]:
    """Yield all prompts, those of files read; add what is wrong to the faults."""
    for entry, where in _entries(given, place):
        part = entry if isinstance(entry, PromptPart) else PromptPart(raw=entry)
        try:
            found = list(_prompts_of(part, files, faults))
            if not found or not all(prompt.text.strip() for prompt in found):
                raise SuiteError("the prompt is empty")
            for prompt in found:
                # A chat that is none is said here, not once for every case.
                _ = prompt.chat
                yield replace(prompt, label=part.label or prompt.label or part.text, id=part.id or "")
        except SuiteError as error:
            faults.append(where.fault(error))


def _entries(given: PromptsPart, place: Place) -> Iterator[Entry]:
    root = given.root
    if isinstance(root, str):
        yield root, place
    elif isinstance(root, dict):
        yield from ((PromptPart(raw=text, label=label), place.at(text)) for text, label in root.items())
    else:
        yield from ((entry, place.at(number)) for number, entry in enumerate(root))


def _prompts_of(part: PromptPart, files: Files, faults: list[str]) -> Iterator[Prompt]:
    if part.text.startswith(REGISTRY):
        yield frozen(part.text, files.folder)
        return
    if not _names_a_file(part.text, files.folder):
        yield Prompt(part.text)
        return
    for file in files.all(part.text, KINDS):
        if file.suffix.lower() in (".yaml", ".yml"):
            yield from _in_yaml(file, files, faults)
        else:
            yield from READERS[file.suffix.lower()](file)


def _names_a_file(text: str, folder: Path) -> bool:
    """Return whether a prompt is not the text itself but where it is: promptfoo also takes a bare path for one."""
    if text.startswith((FILE, *ELSEWHERE)):
        return True
    if "\n" in text or len(text) > MAX_NAME or Path(text).suffix.lower() not in KINDS:
        return False
    return not any(letter.isspace() for letter in text) or GLOB.search(text) is not None or (folder / text).is_file()


def _in_text(file: Path) -> Iterator[Prompt]:
    """Yield the prompts of a text file: several between lines of three dashes."""
    piece: list[str] = []
    found = False
    for line in [*read_text(file).splitlines(), "---"]:
        if line.strip() != "---":
            piece.append(line)
        elif text := "\n".join(piece).strip():
            yield Prompt(text)
            found, piece = True, []
    if not found:
        raise SuiteError(f"{file}: the file is empty")


def _whole(file: Path) -> Iterator[Prompt]:
    yield Prompt(read_text(file))


def _in_json(file: Path) -> Iterator[Prompt]:
    """Yield a file that is JSON, or becomes it once its templates are filled in."""
    text = read_text(file)
    if not has_template(text):
        parse_json(text, str(file))
    yield Prompt(text)


def _in_jsonl(file: Path) -> Iterator[Prompt]:
    for line in read_text(file).splitlines():
        if line.strip():
            parse_json(line, str(file))
            yield Prompt(line)


def _in_csv(file: Path) -> Iterator[Prompt]:
    """Yield the prompts of a table with the columns prompt and label, or of a file with one prompt a line."""
    text = read_text(file)
    if "," not in text:
        lines = [line for line in text.splitlines() if line.strip()]
        first = bool(lines) and lines[0].strip().lower() == "prompt"
        yield from (Prompt(line) for line in lines[first:])
        return
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True):
            if row.get("prompt"):
                yield Prompt(row["prompt"].strip(), (row.get("label") or "").strip())
    except csv.Error as error:
        raise SuiteError(f"{file}: not a table: {error}") from error


def _in_yaml(file: Path, files: Files, faults: list[str]) -> Iterator[Prompt]:
    """Yield a chat, what else the file says as JSON, or the prompts that it lists as a suite would.

    A file that only becomes YAML once its templates are filled in is one prompt.
    """
    try:
        document = read(file)
    except SuiteError:
        text = read_text(file)
        if not has_template(text):
            raise
        yield Prompt(text)
        return
    if isinstance(document.data, list) and chat_of(document.data) is None:
        for entry, _ in _entries(validated(document, PromptsPart), Place(document)):
            text = entry if isinstance(entry, str) else entry.text
            if text.startswith(FILE) and text.endswith((".yaml", ".yml")):
                raise SuiteError(f"{file}: a list of prompts cannot name another one")
        yield from prompts_of(validated(document, PromptsPart), Place(document), files, faults)
    else:
        yield Prompt(json.dumps(document.data, ensure_ascii=False))


READERS: Mapping[str, Callable[[Path], Iterator[Prompt]]] = {
    ".txt": _in_text,
    ".md": _whole,
    ".j2": _whole,
    ".json": _in_json,
    ".jsonl": _in_jsonl,
    ".csv": _in_csv,
}
KINDS = (*READERS, ".yaml", ".yml")
