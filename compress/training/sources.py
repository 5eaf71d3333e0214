"""Sources: where training documents come from, apart from the original's own answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.errors import CompressError
from compress.text_files import Row, rows, texts
from compress.training import prompts
from compress.training.formats import Document, Format, document, format_of
from compress.training.settings import Data, Source

HUB = "hub:"
WHAT = "training data"


@dataclass(frozen=True)
class Listing:
    """The documents of one source."""

    length: int
    document: Callable[[int], Document | None]
    """None where a row holds nothing to learn."""
    place: Callable[[int], str]
    """For messages."""


def listing(source: Source) -> Listing:
    """All documents of one source; files are read and checked whole, a hub's data set row by row.

    Raises CompressError on what cannot be read or has another format, naming file and line.
    """
    name = source.source
    if name == "builtin":
        return _texts([(f"builtin, topic '{topic}'", text) for topic, text in _builtin()])
    if name.startswith(HUB):
        return _hub(source)
    path = Path(name)
    if not path.exists():
        raise CompressError(f"{path}: no such file; a source is self, builtin, hub:NAME or a file")
    if path.suffix == ".jsonl":
        return _checked(rows(path, WHAT), source)
    if path.suffix == ".json":
        raise CompressError(f"{path}: one JSON document; give JSON lines in a .jsonl file, one object a line")
    if source.format not in ("auto", "text"):
        raise CompressError(f"{path}: format '{source.format}' needs a .jsonl file; a text file has the format text")
    return _texts([(f"{path}, document {number}", text) for number, text in enumerate(texts(path, WHAT), 1)])


def check(data: Data) -> None:
    """Read all files of a recovery's data, so that a fault in them is found before a cut takes its time.

    Raises CompressError.
    """
    for source in data.sources:
        if source.file is not None:
            refuse_mute(source, listing(source))
        elif source.source == "self":
            prompts.asked(source, seed=0)


def refuse_mute(source: Source, found: Listing) -> None:
    """Raise CompressError where no document holds anything to learn."""
    if all(found.document(number) is None for number in range(found.length)):
        raise CompressError(
            f"{source.source}: nothing to learn from: none of {found.length} rows has a text or an answer"
        )


def _builtin() -> list[tuple[str, str]]:
    """The language reference that every Python brings along, topic by topic."""
    from pydoc_data.topics import topics

    return sorted(topics.items())


def _texts(found: list[tuple[str, str]]) -> Listing:
    return Listing(len(found), lambda number: found[number][1].strip() or None, lambda number: found[number][0])


def _checked(found: list[Row], source: Source) -> Listing:
    kind = _kind(found[0], source)
    read = [document(row, kind, source.field) for row in found]
    return Listing(len(read), lambda number: read[number], lambda number: found[number].place)


def _kind(first: Row, source: Source) -> Format:
    return format_of(first, source.field) if source.format == "auto" else source.format


def _hub(source: Source) -> Listing:
    data = _loaded(source)
    place = f"{source.source}, split {source.split}"
    if not len(data):
        raise CompressError(f"{place}: empty, so there is nothing to train on")
    kind = _kind(Row(f"{place}, row 0", data[0]), source)

    def at(number: int) -> str:
        return f"{place}, row {number}"

    return Listing(len(data), lambda number: document(Row(at(number), data[number]), kind, source.field), at)


def _loaded(source: Source) -> Any:
    """A data set of the hub, or of a local folder; no code of the data set's own is run."""
    import datasets

    name, _, config = source.source.removeprefix(HUB).partition(":")
    try:
        return datasets.load_dataset(name, config or None, split=source.split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CompressError(
            f"{source.source}, split {source.split}: cannot load the data set: {reason[:300]}; check name, "
            "configuration, split and connection (HF_HUB_OFFLINE unset), or use a local .jsonl file"
        ) from None
