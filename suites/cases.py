"""One test of a suite file -> the cases that it makes, one for each prompt and each choice of vars."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from suites.allowance import CAREFUL, Allowance
from suites.assertions import Assertion, Unchecked, build
from suites.combining import Asserted, AssertSet
from suites.document import Document, Key
from suites.errors import SuiteError
from suites.prompts import Templates, Vars, chat_of, combinations, filled_vars, messages_of
from suites.schema import MAX_NEW_TOKENS, AssertionPart, Case, CasePart, DefaultPart, OptionsPart
from suites.unsupported import reason_against

MAX_CASES = 100_000


@dataclass(frozen=True)
class Place:
    """Where a part of the suite is written."""

    document: Document
    path: tuple[Key, ...] = ()

    def at(self, *inside: Key) -> Place:
        return Place(self.document, self.path + inside)

    @property
    def line(self) -> int:
        return self.document.line(self.path)

    def fault(self, text: object) -> str:
        return self.document.fault(self.path, str(text))


@dataclass(frozen=True)
class Setting:
    """What all tests of a suite share."""

    place: Place
    default: DefaultPart
    prompts: tuple[str, ...]
    allowance: Allowance = CAREFUL
    templates: Templates = field(default_factory=Templates)


Stated = tuple[AssertionPart, Place]


def cases_of(part: CasePart, place: Place, setting: Setting, faults: list[str]) -> list[Case]:
    """Return the cases of one test, and add what is wrong with it to the faults.

    The id is the one given, with a hash of the messages where one test makes several cases, or a hash of messages and
    vars: it stays the same when tests are re-ordered.
    """
    try:
        template = _template(part, setting.default)
        options = _merged(setting.default.options, part.options)
        stated = _stated(part, place, options, setting)
        askings = list(_askings(part, options, setting))
    except SuiteError as error:
        faults.append(place.fault(error))
        return []
    made = []
    for prompt, values in askings:
        try:
            filled = filled_vars(values, setting.templates)
            messages = _messages(part, prompt, options, filled, setting.templates)
        except SuiteError as error:
            faults.append(place.fault(error))
            continue
        asserted = tuple(_asserted(stated, place, filled, setting, faults))
        made.append(dataclasses.replace(template, messages=messages, vars=filled, assertions=asserted))
    return [dataclasses.replace(case, id=_id(case, several=len(made) > 1)) for case in made]


def _template(part: CasePart, default: DefaultPart) -> Case:
    """Return what all cases of one test have in common."""
    metadata = {**default.metadata, **part.metadata}
    tags = metadata.get("tags", [])
    tags = [tags] if isinstance(tags, str) else tags
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise SuiteError("metadata.tags must be a list of text")
    name = metadata.get("id", "") if part.id is None else part.id
    if not isinstance(name, str):
        raise SuiteError("metadata.id must be text")
    return Case(
        id=name,
        messages=[],
        tags=frozenset([*default.tags, *part.tags, *tags]),
        description=part.description,
        threshold=default.threshold if part.threshold is None else part.threshold,
        max_new_tokens=part.max_new_tokens or default.max_new_tokens or MAX_NEW_TOKENS,
        metadata=metadata,
    )


def _merged(default: OptionsPart, own: OptionsPart) -> OptionsPart:
    return default.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def _askings(part: CasePart, options: OptionsPart, setting: Setting) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every prompt with every choice of vars; a test with messages of its own has one empty prompt."""
    values = {**setting.default.vars, **part.vars}
    for name, value in values.items():
        elements = value if isinstance(value, list) else [value]
        if not elements and not options.disable_var_expansion:
            raise SuiteError(f"vars.{name}: an empty list makes no case")
        if any(isinstance(element, str) and element.startswith("file://") for element in elements):
            raise SuiteError(f"vars.{name}: file:// is not supported yet here; write the value itself")
    prompts: tuple[str, ...] = ("",) if part.messages else setting.prompts or ("{{ prompt }}",)
    if not part.messages and not setting.prompts and "prompt" not in values:
        raise SuiteError("nothing to ask; give messages or vars.prompt here, or prompts at the top of the suite")
    lengths = [len(value) for value in values.values() if isinstance(value, list)]
    if not options.disable_var_expansion and math.prod(lengths) * len(prompts) > MAX_CASES:
        raise SuiteError(f"the lists in vars make more than {MAX_CASES} cases")
    for prompt in prompts:
        for chosen in combinations(values, expand=not options.disable_var_expansion):
            yield prompt, chosen


def _messages(
    part: CasePart, prompt: str, options: OptionsPart, values: Vars, templates: Templates
) -> list[dict[str, str]]:
    around = bool(options.prefix or options.suffix)
    if around and (part.messages or chat_of(prompt)):
        raise SuiteError("options.prefix and options.suffix go around text prompts, not around chat messages")
    if not part.messages:
        return messages_of(options.prefix + prompt + options.suffix, values, templates)
    return [{"role": each.role, "content": templates.render(each.content, values)} for each in part.messages]


def _stated(part: CasePart, place: Place, options: OptionsPart, setting: Setting) -> list[Stated]:
    """Return the assertions of the default test, then those of the test itself, each with its place."""
    default = [] if options.disable_default_asserts else setting.default.assertions
    stated = [(each, setting.place.at("defaultTest", "assert", number)) for number, each in enumerate(default)]
    return stated + [(each, place.at("assert", number)) for number, each in enumerate(part.assertions)]


def _asserted(
    stated: list[Stated], place: Place, values: Vars, setting: Setting, faults: list[str]
) -> Iterator[Asserted]:
    """Yield the assertions with their templates filled in; add what is wrong to the faults."""
    for each, where in stated:
        try:
            metric = None if each.metric is None else setting.templates.render(each.metric, values)
            if each.assertions is None:
                rule = _rule(each, values, setting)
            else:
                inside = [(inner, where.at("assert", number)) for number, inner in enumerate(each.assertions)]
                rule = AssertSet(tuple(_asserted(inside, place, values, setting, faults)), each.threshold)
            yield Asserted(each.type, rule, each.weight, metric)
        except SuiteError as error:
            # One of the default test may be wrong for one test only.
            whose = f" (for the test on line {place.line})" if where.path[:1] == ("defaultTest",) else ""
            faults.append(where.fault(f"{error}{whose}"))


def _rule(part: AssertionPart, values: Vars, setting: Setting) -> Assertion:
    """Return the rule, or what stands for it where the user lets it be skipped; raises SuiteError if it is not let."""
    why, rule = reason_against(part.type), None
    if why is None:
        options = {name: setting.templates.filled(value, values) for name, value in part.given.items()}
        rule = build(part.type, options)
        why = setting.allowance.missing(rule.needs)
    if rule is not None and why is None:
        return rule
    why = f"{part.type} cannot be checked here: {why}"
    if setting.allowance.skip_unsupported:
        return Unchecked(part.type, why)
    raise SuiteError(f"{why}; remove it, or count it as not checked by --skip-unsupported")


def _id(case: Case, several: bool) -> str:
    if not case.id:
        return _hash([case.messages, case.vars])[:12]
    return f"{case.id}-{_hash(case.messages)[:8]}" if several else case.id


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
