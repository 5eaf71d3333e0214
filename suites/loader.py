"""Load a suite: a promptfoo file -> cases with their templates filled in, or every fault of it in one message."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from suites.advice import KINDS
from suites.allowance import CAREFUL, HOW, Allowance
from suites.assertions import Not, Unchecked
from suites.cases import Entry, Setting, cases_of, entry
from suites.combining import Asserted, AssertSet, single
from suites.document import MAX_FAULTS, Document, Place, refuse, suggestion, validated
from suites.entries import TREES, entries_of, opened, scenario_entries
from suites.errors import SuiteError
from suites.files import Files
from suites.filters import text_of
from suites.form import MAX_REPEATS, CasePart, CasesPart, DefaultPart, RepeatPart, SuitePart, unused_in
from suites.parse import Marks
from suites.program import Program
from suites.prompt_files import prompts_of
from suites.prompts import Prompt
from suites.sampling import Sampling
from suites.schema import Case, Suite
from suites.script import Script
from suites.templates import Templates
from suites.transforms import Transformed
from suites.variables import MAX_CASES
from suites.wording import Wording

SHELVES = ("x-", "_", ".")
"""How names at the top of a file begin that only hold anchors for the rest of it."""
STRANGE_KEY = "not used: no key of a suite"
ABSENT = "no var of some test, where nothing is written for it"
LIBRARY = Path(__file__).parent / "library"


def names() -> tuple[str, ...]:
    """Return the suites that come with the package."""
    return tuple(sorted(file.stem for file in LIBRARY.glob("*.yaml")))


def load(name_or_path: str | Path, allowance: Allowance = CAREFUL) -> Suite:
    """Load a suite by its name in the library, or from a .yaml, .yml, .json, .jsonl or .csv file.

    A file that holds a list, or a table, is a suite of tests alone. A case of which no assertion can be checked is left
    out where the allowance lets that be, and counted. Raises SuiteError with every fault of the file, a line each.
    """
    file = _file(name_or_path)
    part, top = _opened(file)
    faults: list[str] = []
    files = Files(file.parent, allowance.outside)
    notes = Counter(unused_in(part))
    setting = _setting(part, top, files, allowance, faults)
    cases: list[Case] = []
    ids: dict[str, Place] = {}
    documents = {id(place.document): place.document for place in (top, setting.default_place)}
    for test in _entries(part, top, files, faults):
        notes.update(unused_in(test.part))
        documents[id(test.place.document)] = test.place.document
        faults += _given_twice(test, ids)
        cases += cases_of(test, setting, faults)
        if len(cases) > MAX_CASES:
            raise SuiteError(test.place.fault(f"the suite has more than {MAX_CASES} cases; split it"))
        if len(faults) > MAX_FAULTS:
            break
    refuse(faults)
    if not cases:
        raise SuiteError(f"{file}: the suite has no cases; give tests")
    decidable = [case for case in cases if not _undecidable(case)]
    if not decidable:
        raise SuiteError(f"{file}: none of the {len(cases)} cases has an assertion that can be checked here")
    notes.update(f"{key}: {STRANGE_KEY}" for document in documents.values() for key in document.passed_over)
    notes.update(f"{{{{ {name} }}}} in prompts: {ABSENT}" for name in sorted(setting.asking.absent or ()))
    unique = tuple(_numbered(decidable))
    sampling = part.sampling.value if part.sampling else None
    return Suite(
        name=file.stem,
        digest=_digest(unique, sampling),
        cases=unique,
        description=part.description,
        notes=tuple(f"{what}{f' ({count} times)' if count > 1 else ''}" for what, count in notes.items()),
        not_checked=_not_checked(cases, len(cases) - len(decidable)),
        derived=part.derived,
        sampling=sampling,
    )


def _opened(file: Path) -> tuple[SuitePart, Place]:
    """Return what the file says, and the place of its tests if it holds nothing else."""
    if file.suffix.lower() == ".csv":
        return SuitePart(tests=file.name), Place(Document(file, None, Marks(1)))
    document = opened(file)
    if isinstance(document.data, list):
        return SuitePart(tests=list(validated(document, CasesPart).all)), Place(document)
    if isinstance(document.data, dict):
        for name in [name for name in document.data if name.startswith(SHELVES)]:
            del document.data[name]
    return validated(document, SuitePart), Place(document)


def _setting(part: SuitePart, top: Place, files: Files, allowance: Allowance, faults: list[str]) -> Setting:
    """Return what all tests share; where a part is wrong, something stands in, so that tests are not blamed for it."""
    prompts = tuple(prompts_of(part.prompts, top.at("prompts"), files, faults))
    default, place = part.default_test, top.at("defaultTest")
    if isinstance(default, str):
        try:
            document = opened(files.one(default, TREES))
            default, place = validated(document, DefaultPart), Place(document)
        except SuiteError as error:
            faults.append(str(error) if "\n" in str(error) else place.fault(error))
            default = DefaultPart()
    if "metadata" not in default.model_fields_set:
        default = default.model_copy(update={"metadata": part.metadata})
    if default.repeats is None and part.evaluate_options and "repeat" in part.evaluate_options:
        repeats = _repeats(part.evaluate_options["repeat"], top.at("evaluateOptions", "repeat"), faults)
        default = default.model_copy(update={"repeat": repeats})
    surroundings = {name: os.environ[name] for name in allowance.env if name in os.environ}
    surroundings |= {name: text_of(value) for name, value in part.env.items()}
    templates = Templates(surroundings)
    asking = Templates(surroundings, templates.work, set())
    return Setting(default, place, prompts or (Prompt("?"),) * bool(faults), files, templates, asking, allowance)


def _repeats(given: object, place: Place, faults: list[str]) -> RepeatPart | None:
    """Return promptfoo's number of repeats of all tests."""
    if type(given) is int and 1 <= given <= MAX_REPEATS:
        return RepeatPart(n=given)
    faults.append(place.fault(f"a whole number from 1 to {MAX_REPEATS} is allowed"))
    return None


def _entries(part: SuitePart, top: Place, files: Files, faults: list[str]) -> Iterator[Entry]:
    """Yield the tests, then those of the scenarios; a suite that lists neither asks every prompt once."""
    alone = not isinstance(top.document.data, dict)
    if part.tests:
        yield from entries_of(part.tests, top if alone else top.at("tests"), files, faults)
    if part.scenarios:
        yield from scenario_entries(part.scenarios, top.at("scenarios"), files, faults)
    if part.prompts.root and not part.tests and not part.scenarios:
        yield entry(CasePart(), top)


def _given_twice(test: Entry, ids: dict[str, Place]) -> Iterator[str]:
    """Yield a fault if the id of a test was given before; the same test may come several times in a scenario."""
    if test.part.id is None:
        return
    first = ids.setdefault(test.part.id, test.place)
    if first is not test.place:
        where = f"{first.document.file}:{first.line}"
        yield test.place.at("id").fault(f"id {test.part.id!r} is given twice (first at {where})")


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
    lines += [f"{kind}: {HOW[kind]}" for kind in KINDS if kind in suite.needs]
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
        yield from single(case.assertions)


def _not_checked(cases: Iterable[Case], left_out: int) -> str:
    """Return the number of assertions that stand for others, by type, and of cases left out; empty if none."""
    types = Counter(each.type for each in _single(cases) if isinstance(each.rule, Unchecked))
    counts = ", ".join(f"{type} {count}" for type, count in sorted(types.items()))
    return f"{counts}; {left_out} cases left out, which have no other assertion" if left_out else counts


def _digest(cases: Iterable[Case], sampling: Sampling | None) -> str:
    """Return the SHA-256 of all that decides a result: not the descriptions, nor how the file is laid out."""
    digest = hashlib.sha256()
    for case in cases:
        parts: list[object] = [case.id, case.messages, [_stated(each) for each in case.assertions], sorted(case.tags)]
        parts += [case.threshold, case.max_new_tokens, *([vars(case.repeat)] if case.repeat else [])]
        digest.update(json.dumps(parts, sort_keys=True, default=_code).encode() + b"\n")
    if sampling is not None:
        digest.update(json.dumps(vars(sampling)).encode())
    return digest.hexdigest()


def _code(part: Program | Script | Wording) -> list[str]:
    """Return what a program does, wherever it lies, or what a judge is asked."""
    return [part.text] if isinstance(part, Wording) else [part.code, part.function]


def _stated(asserted: Asserted) -> list[object]:
    rule = asserted.rule
    if isinstance(rule, AssertSet):
        inside = [_stated(each) for each in rule.inside]
        return [asserted.type, inside, rule.threshold, asserted.weight, asserted.metric]
    programs = [each.program for each in rule.transforms] if isinstance(rule, Transformed) else []
    alone = rule.inner if isinstance(rule, Transformed) else rule
    options = vars(alone.inner if isinstance(alone, Not) else alone)
    return [asserted.type, options, asserted.weight, asserted.metric, *programs]
