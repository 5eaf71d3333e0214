"""A CSV file of tests, row by row: columns are vars, those that begin with two underscores are about the test."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from suites.document import Document, Place, validated
from suites.errors import SuiteError
from suites.expected import assertion_of, takes_threshold
from suites.form import CasePart
from suites.parse import Marks

MAX_TABLE = 2**30
"""Bytes of a table: it is read row by row, never as a whole."""
MAX_ROW = 4 * 2**20
"""Characters of one row."""
MAX_COLUMNS = 1_000
SPECIAL = ("expected", "prefix", "suffix", "description", "providerOutput", "metric", "threshold", "metadata", "config")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
CONFIG = re.compile(r"__config:__expected(\d*):threshold")
COMMA = re.compile(r"(?<!\\),")


Part = dict[str, object]


def tests_in(file: Path) -> Iterator[tuple[CasePart, Place]]:
    """Yield every row of a table as a test, with its line; raises SuiteError at the first that is wrong."""
    for part, place in parts_in(file):
        yield validated(Document(file, part, place.document.marks), CasePart), place


def parts_in(file: Path) -> Iterator[tuple[Part, Place]]:
    """Yield every row of a table as a test is written in YAML, with its line; raises SuiteError as `tests_in` does."""
    try:
        if file.stat().st_size > MAX_TABLE:
            raise SuiteError(f"{file}: larger than {MAX_TABLE // 2**20} MiB; split it")
        with file.open(encoding="utf-8-sig", newline="") as handle:
            rows = _rows(handle, file)
            _, header = next(rows, (1, []))
            names = _checked_header([name.strip() for name in header], file)
            for number, (line, cells) in enumerate(rows, 1):
                if len(cells) != len(names):
                    raise SuiteError(f"{file}:{line}: {len(cells)} cells, the header has {len(names)}")
                place = Place(Document(file, None, Marks(line)))
                yield _part(dict(zip(names, cells, strict=True)), number, place), place
    except UnicodeDecodeError as error:
        raise SuiteError(f"{file}: byte 0x{error.object[error.start]:02x} is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise SuiteError(f"{file}: cannot be read: {error.strerror}") from error


def _rows(handle: TextIO, file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the line on which it begins."""
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := handle.readline(MAX_ROW):
            size += len(line)
            if size >= MAX_ROW:
                raise SuiteError(f"{file}: a row of more than {MAX_ROW} characters; is a quote left open?")
            yield line

    reader, begun = csv.reader(lines()), 1
    try:
        for cells in reader:
            if cells:
                yield begun, cells
            begun, size = reader.line_num + 1, 0
    except csv.Error as error:
        raise SuiteError(f"{file}:{begun}: not a table: {error}") from error


def _checked_header(names: list[str], file: Path) -> list[str]:
    if not any(names):
        raise SuiteError(f"{file}: the file is empty; the first row names the columns")
    if len(names) > MAX_COLUMNS:
        raise SuiteError(f"{file}:1: {len(names)} columns; at most {MAX_COLUMNS}")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise SuiteError(f"{file}:1: column {twice[0]!r} is given twice")
    for name in names:
        if fault := _column_fault(name):
            raise SuiteError(f"{file}:1: column {name!r}: {fault}")
    return names


def _column_fault(name: str) -> str | None:
    """Return what is wrong with a column that is about the test, None for one that is right, or a var."""
    if not name.startswith("__"):
        alike = name.startswith(tuple(f"_{special}" for special in SPECIAL))
        return f"did you mean '_{name}'?" if alike else None
    if re.fullmatch(r"__expected\d*|__(prefix|suffix|description|metric|threshold|providerOutput)", name):
        return None
    if name.startswith("__metadata:") and name != "__metadata:":
        return None
    if CONFIG.fullmatch(name):
        return None
    return (
        "allowed: __expected, __expected1 and so on, __prefix, __suffix, __description, __metric, __threshold, "
        "__metadata:KEY, __metadata:KEY[], __config:__expected1:threshold"
    )


def _part(row: dict[str, str], number: int, place: Place) -> Part:
    if row.get("__providerOutput"):
        raise SuiteError(place.fault("__providerOutput: an answer given beforehand is none of the models'"))
    stated = [assertion_of(row[name]) for name in row if name.startswith("__expected") and row[name].strip()]
    metric = row.get("__metric")
    for each in stated:
        each |= {"metric": metric} if metric else {}
    for name, cell in row.items():
        if found := CONFIG.fullmatch(name):
            index = int(found[1] or 1) - 1
            # The column is for all rows; an assertion without a threshold has no use for it.
            if 0 <= index < len(stated) and takes_threshold(str(stated[index]["type"])):
                stated[index]["threshold"] = _number(cell, place)
    part: Part = {
        "vars": {name: cell for name, cell in row.items() if name and not name.startswith("__")},
        "assert": stated,
        "options": {name: row[f"__{name}"] for name in ("prefix", "suffix") if row.get(f"__{name}")},
        "description": row.get("__description") or f"Row #{number}",
        "metadata": _metadata(row),
    }
    if threshold := row.get("__threshold", "").strip():
        part["threshold"] = _number(threshold, place)
    return part


def _number(cell: str, place: Place) -> float:
    if not NUMBER.fullmatch(cell.strip()):
        raise SuiteError(place.fault(f"a threshold must be a number, found {cell!r}"))
    return float(cell)


def _metadata(row: dict[str, str]) -> dict[str, object]:
    """Return what the __metadata:KEY columns say; KEY[] holds several values between commas."""
    found: dict[str, object] = {}
    for name, cell in row.items():
        key = name.removeprefix("__metadata:")
        if key == name or not cell.strip():
            continue
        if key.endswith("[]"):
            found[key[:-2]] = [value.strip().replace("\\,", ",") for value in COMMA.split(cell)]
        else:
            found[key] = cell
    return found
