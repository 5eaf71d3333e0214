"""The `tests` and `scenarios` of a suite, inline and in files -> entries, one a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from suites.cases import Entry, entry
from suites.document import MAX_FAULTS, Document, Place, read, validated
from suites.errors import SuiteError
from suites.files import Files
from suites.form import CasePart, CasesPart, ScenarioPart, ScenariosPart
from suites.references import dereference_
from suites.tables import tests_in

TREES = (".yaml", ".yml", ".json", ".jsonl")
KINDS = (*TREES, ".csv")


def opened(file: Path) -> Document:
    """Return a file of a suite with its references replaced."""
    document = read(file)
    dereference_(document)
    return document


def entries_of(given: str | list[CasePart | str], place: Place, files: Files, faults: list[str]) -> Iterator[Entry]:
    """Yield every test in its order, those of files read; add what is wrong to the faults."""
    tests = [(given, place)] if isinstance(given, str) else [(test, place.at(n)) for n, test in enumerate(given)]
    for test, where in tests:
        if isinstance(test, CasePart):
            yield entry(test, where)
            continue
        try:
            named = files.all(test, KINDS)
        except SuiteError as error:
            faults.append(where.fault(error))
            continue
        for file in named:
            if len(faults) > MAX_FAULTS:
                return
            try:
                yield from _entries_in(file)
            except SuiteError as error:
                faults.append(str(error))


def _entries_in(file: Path) -> Iterator[Entry]:
    if file.suffix.lower() == ".csv":
        yield from (entry(part, place) for part, place in tests_in(file))
        return
    document = opened(file)
    parts = validated(document, CasesPart).root
    if isinstance(parts, CasePart):
        yield entry(parts, Place(document))
    else:
        yield from (entry(part, Place(document, (number,))) for number, part in enumerate(parts))


def scenario_entries(
    given: str | list[ScenarioPart | str], place: Place, files: Files, faults: list[str]
) -> Iterator[Entry]:
    """Yield every row of a scenario's config put together with every of its tests; a scenario without tests has one."""
    for part, where in _scenarios(given, place, files, faults):
        tests = [entry(CasePart(), where)]
        if part.tests is not None:
            tests = list(entries_of(part.tests, where.at("tests"), files, faults))
        for number, row in enumerate(part.config):
            yield from (_together(entry(row, where.at("config", number)), test) for test in tests)


def _scenarios(
    given: str | list[ScenarioPart | str], place: Place, files: Files, faults: list[str]
) -> Iterator[tuple[ScenarioPart, Place]]:
    named = [(given, place)] if isinstance(given, str) else [(each, place.at(n)) for n, each in enumerate(given)]
    for scenario, where in named:
        if isinstance(scenario, ScenarioPart):
            yield scenario, where
            continue
        try:
            documents = [opened(file) for file in files.all(scenario, TREES)]
            parts = [(document, validated(document, ScenariosPart).root) for document in documents]
        except SuiteError as error:
            faults.append(where.fault(error) if "\n" not in str(error) else str(error))
            continue
        for document, found in parts:
            if isinstance(found, ScenarioPart):
                yield found, Place(document)
            else:
                yield from ((part, Place(document, (number,))) for number, part in enumerate(found))


def _together(row: Entry, test: Entry) -> Entry:
    """Return a test with what a row of its scenario says: vars, options and metadata merged, assertions added."""
    if not isinstance(row.part.vars, dict) or not isinstance(test.part.vars, dict):
        raise SuiteError(row.place.fault("vars: a file of vars is not supported in a scenario; write them here"))
    given = {name: getattr(test.part, name) for name in test.part.model_fields_set}
    options = {name: getattr(test.part.options, name) for name in test.part.options.model_fields_set}
    part = row.part.model_copy(
        update={
            **given,
            "vars": row.part.vars | test.part.vars,
            "metadata": row.part.metadata | test.part.metadata,
            "options": row.part.options.model_copy(update=options),
            "tags": [*row.part.tags, *test.part.tags],
        }
    )
    return Entry(part, test.place, (*row.stated, *test.stated))
