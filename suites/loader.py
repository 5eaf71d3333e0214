"""Load a suite: a promptfoo file -> cases with their templates filled in, or every fault of it in one message."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from suites.allowance import CAREFUL, Allowance
from suites.assertions import Not, Unchecked
from suites.cases import MAX_CASES, Place, Setting, cases_of
from suites.combining import Asserted, AssertSet
from suites.document import Document, read, read_text, refuse, suggestion, validated
from suites.errors import SuiteError
from suites.prompts import chat_of
from suites.schema import Case, CasePart, CasesPart, Suite, SuitePart

LIBRARY = Path(__file__).parent / "library"
TEST_FILES = (".yaml", ".yml", ".json", ".jsonl")
PROMPT_FILES = (".txt", ".json")


def names() -> tuple[str, ...]:
    """Return the suites that come with the package."""
    return tuple(sorted(file.stem for file in LIBRARY.glob("*.yaml")))


def load(name_or_path: str | Path, allowance: Allowance = CAREFUL) -> Suite:
    """Load a suite by its name in the library, or from a .yaml, .yml, .json or .jsonl file.

    A file that holds a list is a suite of tests alone. A case of which no assertion can be checked is left out where
    the allowance lets that be, and counted. Raises SuiteError with every fault of the file, a line each.
    """
    file = _file(name_or_path)
    document = read(file)
    top = Place(document)
    if isinstance(document.data, list):
        part, tests = SuitePart(tests=list(validated(document, CasesPart).root)), top
    else:
        part, tests = validated(document, SuitePart), top.at("tests")
    faults: list[str] = []
    prompts = tuple(_prompts(part.prompts, top.at("prompts"), faults))
    # Where no prompt is right, one stands in, so that the tests are not blamed for it.
    setting = Setting(top, part.default_test, prompts or ("?",) * bool(faults), allowance)
    cases: list[Case] = []
    first: dict[str, Place] = {}
    for test, place in _tests(part.tests, tests, faults):
        if test.id is not None and (earlier := first.setdefault(test.id, place)) is not place:
            where = f"{earlier.document.file}:{earlier.line}"
            faults.append(place.at("id").fault(f"id {test.id!r} is given twice (first at {where})"))
        cases += cases_of(test, place, setting, faults)
        if len(cases) > MAX_CASES:
            raise SuiteError(place.fault(f"the suite has more than {MAX_CASES} cases; split it"))
    refuse(faults)
    if not cases:
        raise SuiteError(f"{file}: the suite has no cases; give tests")
    decidable = [case for case in cases if not _undecidable(case)]
    if not decidable:
        raise SuiteError(f"{file}: none of the {len(cases)} cases has an assertion that can be checked here")
    unique = tuple(_numbered(decidable))
    notes = [key for key in ("providers", "targets") if getattr(part, key) is not None]
    return Suite(
        name=file.stem,
        digest=_digest(unique),
        cases=unique,
        description=part.description,
        notes=tuple(f"{key}: not used, the plan says which models are asked" for key in notes),
        not_checked=_not_checked(cases, len(cases) - len(decidable)),
    )


def check(name_or_path: str | Path, allowance: Allowance = CAREFUL) -> list[str]:
    """Return what a suite holds, in lines: cases, tags and assertion types with counts, notes.

    Raises SuiteError as `load` does.
    """
    suite = load(name_or_path, allowance)
    tags = Counter(tag for case in suite.cases for tag in case.tags)
    types = Counter(asserted.type for asserted in _single(suite.cases))
    bare = sum(not case.assertions for case in suite.cases)
    lines = [f"{suite.name}: {len(suite.cases)} cases"]
    for what, counter in (("tags", tags), ("assertions", types)):
        if counter:
            lines.append(f"{what}: " + ", ".join(f"{name} {count}" for name, count in sorted(counter.items())))
    lines += [f"without assertions: {bare} cases, which pass whatever is answered"] if bare else []
    lines += [f"not checked: {suite.not_checked}"] if suite.not_checked else []
    return [*lines, *suite.notes]


def _file(name_or_path: str | Path) -> Path:
    file = Path(name_or_path)
    if isinstance(name_or_path, Path) or file.suffix or len(file.parts) != 1:
        return file
    if name_or_path not in names():
        near = suggestion(name_or_path, names()) or ";"
        allowed = ", ".join(names()) or "none"
        raise SuiteError(f"no suite named {name_or_path!r}{near} allowed: {allowed}, or the path of a file")
    return LIBRARY / f"{name_or_path}.yaml"


def _prompts(given: str | list[str], place: Place, faults: list[str]) -> Iterator[str]:
    """Yield the texts of all prompts, those of files read; add what is wrong to the faults."""
    entries = [(given, place)] if isinstance(given, str) else [(text, place.at(n)) for n, text in enumerate(given)]
    for text, where in entries:
        try:
            if text.startswith("file://"):
                yield from _prompts_in(_inside(place.document, text, PROMPT_FILES))
            elif not text.strip():
                raise SuiteError("the prompt is empty")
            else:
                chat_of(text)
                yield text
        except SuiteError as error:
            faults.append(where.fault(error))


def _prompts_in(file: Path) -> list[str]:
    """Return the prompts of a file: a text file may hold several, between lines of three dashes."""
    text = read_text(file)
    if file.suffix == ".json":
        if chat_of(text) is None:
            raise SuiteError(f"{file}: not a JSON array of chat messages")
        return [text]
    pieces = "\n".join(text.splitlines()).split("\n---\n")
    found = [piece.strip() for piece in pieces if piece.strip()]
    if not found:
        raise SuiteError(f"{file}: the file is empty")
    return found


def _tests(given: str | list[CasePart | str], place: Place, faults: list[str]) -> Iterator[tuple[CasePart, Place]]:
    """Yield every test with its place, those of files read; add what is wrong to the faults."""
    entries = [(given, place)] if isinstance(given, str) else [(test, place.at(n)) for n, test in enumerate(given)]
    for test, where in entries:
        if isinstance(test, CasePart):
            yield test, where
            continue
        try:
            if not test.startswith("file://"):
                raise SuiteError(f"{test!r} is not a test; give a mapping, or file:// and a path")
            file = _inside(place.document, test, TEST_FILES)
        except SuiteError as error:
            faults.append(where.fault(error))
            continue
        try:
            document = read(file)
            parts = validated(document, CasesPart).root
        except SuiteError as error:
            faults.append(str(error))
            continue
        yield from ((part, Place(document, (number,))) for number, part in enumerate(parts))


def _inside(document: Document, address: str, suffixes: tuple[str, ...]) -> Path:
    """Return the file that a file:// address names; raises SuiteError where it leads out of the suite's own folder."""
    folder = document.file.parent
    file = folder / address.removeprefix("file://")
    try:
        inside, exists = file.resolve().is_relative_to(folder.resolve()), file.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise SuiteError(f"{address!r} is not a path") from error
    if not inside:
        raise SuiteError(f"{address!r} leads out of the suite's folder")
    if file.suffix not in suffixes:
        raise SuiteError(f"{address!r}: this kind of file is not supported yet; allowed: {', '.join(suffixes)}")
    if not exists:
        raise SuiteError(f"{address!r}: no such file")
    return file


def _numbered(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield the cases with a number after an id that came before."""
    used: Counter[str] = Counter()
    taken: set[str] = set()
    for case in cases:
        name = case.id
        while name in taken:
            used[case.id] += 1
            name = f"{case.id}-{used[case.id] + 1}"
        taken.add(name)
        yield case if name == case.id else dataclasses.replace(case, id=name)


def _undecidable(case: Case) -> bool:
    """Return whether the case has assertions, and none that can be checked."""
    return bool(case.assertions) and all(isinstance(each.rule, Unchecked) for each in _single([case]))


def _single(cases: Iterable[Case]) -> Iterator[Asserted]:
    """Yield the assertions of the cases, those inside sets instead of the sets."""
    for case in cases:
        for each in case.assertions:
            yield from each.rule.inside if isinstance(each.rule, AssertSet) else (each,)


def _not_checked(cases: Iterable[Case], left_out: int) -> str:
    """Return the number of assertions that stand for others, by type, and of cases left out; empty if none."""
    types = Counter(each.type for each in _single(cases) if isinstance(each.rule, Unchecked))
    counts = ", ".join(f"{type} {count}" for type, count in sorted(types.items()))
    return f"{counts}; {left_out} cases left out, which have no other assertion" if left_out else counts


def _digest(cases: Iterable[Case]) -> str:
    """Return the SHA-256 of all that decides a result: not the descriptions, nor how the file is laid out."""
    digest = hashlib.sha256()
    for case in cases:
        parts = [case.id, case.messages, [_stated(each) for each in case.assertions], sorted(case.tags)]
        digest.update(json.dumps([*parts, case.threshold, case.max_new_tokens], sort_keys=True).encode() + b"\n")
    return digest.hexdigest()


def _stated(asserted: Asserted) -> list[object]:
    rule = asserted.rule.inner if isinstance(asserted.rule, Not) else asserted.rule
    if isinstance(rule, AssertSet):
        inside = [_stated(each) for each in rule.inside]
        return [asserted.type, inside, rule.threshold, asserted.weight, asserted.metric]
    return [asserted.type, vars(rule), asserted.weight, asserted.metric]
