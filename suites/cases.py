"""One test of a suite file -> the cases that it makes, one for each prompt and each choice of vars."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from suites.allowance import CAREFUL, Allowance
from suites.assertions import Assertion, Unchecked, base_of, build, shown, takes
from suites.combining import Asserted, AssertSet
from suites.document import MAX_FAULTS, Place
from suites.errors import SuiteError, UnsupportedError
from suites.files import Files, names_a_file
from suites.form import CasePart, DefaultPart, OptionsPart
from suites.prompts import Messages, Prompt, messages_of
from suites.schema import MAX_NEW_TOKENS, AssertionPart, Case
from suites.templates import Templates, Vars
from suites.transforms import transformed
from suites.unsupported import reason_against
from suites.variables import MAX_CASES, choices, filled_vars, given_vars
from suites.wording import refuse_faulty, words_of

Stated = tuple[AssertionPart, Place]
VAR = "vars."
"""How the name of a var begins among the needs of a rule."""


@dataclass(frozen=True)
class Setting:
    """What all tests of a suite share."""

    default: DefaultPart
    default_place: Place
    prompts: tuple[Prompt, ...]
    files: Files
    templates: Templates
    asking: Templates
    """Those of prompts."""
    allowance: Allowance = CAREFUL
    options: OptionsPart = dataclasses.field(default_factory=OptionsPart)
    """Of the test that is being made."""


@dataclass(frozen=True)
class Entry:
    """One test as the file states it; one of a scenario is put together from two places."""

    part: CasePart
    place: Place
    stated: tuple[Stated, ...]


def entry(part: CasePart, place: Place) -> Entry:
    """Return a test with its assertions and where each of them is written."""
    return Entry(part, place, tuple((each, place.at("assert", n)) for n, each in enumerate(part.assertions)))


def cases_of(entry: Entry, setting: Setting, faults: list[str]) -> list[Case]:
    """Return the cases of one test, and add what is wrong with it to the faults.

    The id is the one given, with a hash of the messages where one test makes several cases, or a hash of messages and
    vars: it stays the same when tests are re-ordered.
    """
    part, place = entry.part, entry.place
    try:
        template = _template(part, setting.default)
        options = _merged(setting.default.options, part.options)
        stated = [*([] if options.disable_default_asserts else _stated_by_default(setting)), *entry.stated]
        askings = list(_askings(part, options, setting))
    except SuiteError as error:
        faults.append(place.fault(error))
        return []
    made, name = [], template.id
    own_setting = dataclasses.replace(setting, options=options)
    for prompt, values in askings:
        if len(faults) > MAX_FAULTS:
            break
        try:
            filled = filled_vars(values, setting.files, setting.templates)
            messages = _messages(part, prompt, options, filled, setting)
            if not template.id or len(askings) > 1:
                name = _made_id(template.id, messages, filled, setting.templates)
        except SuiteError as error:
            faults.append(place.fault(error))
            continue
        asserted = tuple(_asserted(stated, place, filled, own_setting, faults))
        own = dataclasses.replace(template, id=name, metadata={**dict(prompt.origin), **template.metadata})
        made.append(dataclasses.replace(own, messages=messages, vars=filled, assertions=asserted))
    return made


def _template(part: CasePart, default: DefaultPart) -> Case:
    """Return what all cases of one test have in common."""
    metadata = {**default.metadata, **part.metadata}
    repeats = part.repeats or default.repeats
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
        repeat=repeats.value if repeats else None,
    )


def _merged(default: OptionsPart, own: OptionsPart) -> OptionsPart:
    """Return the options of a test; an empty prefix or suffix of its own leaves the default one, as in promptfoo."""
    given = {name: getattr(own, name) for name in own.model_fields_set}
    return default.model_copy(update={name: value for name, value in given.items() if value != ""})


def _askings(part: CasePart, options: OptionsPart, setting: Setting) -> Iterator[tuple[Prompt, dict[str, object]]]:
    """Yield every prompt with every choice of vars; a test with messages of its own has one empty prompt."""
    values = given_vars(setting.default.vars, setting.files) | given_vars(part.vars, setting.files)
    prompts = (Prompt(""),) if part.messages else _chosen(part, setting) or (Prompt("{{ prompt }}"),)
    if not part.messages and not setting.prompts and "prompt" not in values:
        raise SuiteError("nothing to ask; give messages or vars.prompt here, or prompts at the top of the suite")
    chosen = [values] if options.disable_var_expansion else list(choices(values, setting.files))
    if len(chosen) * len(prompts) > MAX_CASES:
        raise SuiteError(f"the lists in vars make more than {MAX_CASES} cases")
    yield from itertools.product(prompts, chosen)


def _chosen(part: CasePart, setting: Setting) -> tuple[Prompt, ...]:
    """Return the prompts that the test names, all if it names none."""
    given = setting.default.prompts if part.prompts is None else part.prompts
    if given is None:
        return setting.prompts
    references = [given] if isinstance(given, str) else given
    setting.templates.count_(100 * len(references) * len(setting.prompts))
    for reference in references:
        if not any(prompt.called(reference) for prompt in setting.prompts):
            labels = ", ".join(dict.fromkeys(shown(prompt.label) for prompt in setting.prompts)) or "none"
            raise SuiteError(f"prompts: no prompt is called {reference!r}; there are: {labels}")
    chosen = tuple(prompt for prompt in setting.prompts if any(map(prompt.called, references)))
    if not chosen:
        raise SuiteError("prompts: an empty list makes no case")
    return chosen


def _messages(part: CasePart, prompt: Prompt, options: OptionsPart, values: Vars, setting: Setting) -> Messages:
    around = bool(options.prefix or options.suffix)
    if around and (part.messages or prompt.chat):
        raise SuiteError("options.prefix and options.suffix go around text prompts, not around chat messages")
    if part.messages:
        render = setting.templates.render
        return [{"role": each.role, "content": render(each.content, values)} for each in part.messages]
    if around:
        prompt = Prompt(options.prefix + prompt.text + options.suffix)
    return messages_of(prompt, values, setting.asking)


def _stated_by_default(setting: Setting) -> list[Stated]:
    return [(each, setting.default_place.at("assert", n)) for n, each in enumerate(setting.default.assertions)]


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
            faults.append(where.fault(f"{error}{_whose(where, place)}"))


def _whose(where: Place, test: Place) -> str:
    """Return which test an assertion is wrong for, if it is not the test's own."""
    if where.document is not test.document:
        return f" (for the test at {test.document.file}:{test.line})"
    own = where.path[: len(test.path)] == test.path
    return "" if own else f" (for the test on line {test.line})"


def _rule(part: AssertionPart, values: Vars, setting: Setting) -> Assertion:
    """Return the rule, or what stands for it where the user lets it be skipped; raises SuiteError if it is not let."""
    why, rule = reason_against(part.type), None
    try:
        if why is None:
            options = {name: _given(part, value, values, setting) for name, value in part.given.items()}
            rule = _built(part, options, values, setting)
            changes = (setting.options.transform or setting.options.postprocess, part.transform)
            rule = transformed(rule, changes, setting.files)
            _refuse_lacking(rule.needs, values)
            why = setting.allowance.missing(rule.needs)
    except UnsupportedError as error:
        why = str(error)
    if rule is not None and why is None:
        return rule
    if setting.allowance.skip_unsupported:
        return Unchecked(part.type, str(why))
    counted = "remove it, or count it as not checked by --skip-unsupported"
    raise SuiteError(f"{part.type} cannot be checked here: {why}; {counted}")


def _built(part: AssertionPart, options: dict[str, object], values: Vars, setting: Setting) -> Assertion:
    """Return the rule, with the words for a judge where its type asks one and the suite gives some."""
    if setting.options.factuality is not None and takes(part.type, "scores"):
        options["scores"] = setting.options.factuality.scores
    words = part.rubric_prompt or setting.options.rubric_prompt
    if not words or not takes(part.type, "wording"):
        return build(part.type, options)
    rule = build(part.type, {**options, "wording": words_of(words, setting.files, setting.templates)})
    refuse_faulty(rule, values)
    return rule


def _refuse_lacking(needs: Collection[str], values: Vars) -> None:
    """Raise SuiteError for a var that a rule needs and that the test has not."""
    for name in sorted(need.removeprefix(VAR) for need in needs if need.startswith(VAR)):
        if not values.get(name):
            raise SuiteError(f"it needs the var {name!r}, which the test has not, or empty")


def _given(part: AssertionPart, value: object, values: Vars, setting: Setting) -> object:
    """Return a value of an assertion: what its file says, as it is, or its templates filled in."""
    if isinstance(value, list) and names_a_file(value):
        return [_given(part, element, values, setting) for element in value]
    if isinstance(value, str) and names_a_file(value):
        is_code = base_of(part.type) in ("javascript", "python")
        return setting.files.program(value, "get_assert") if is_code else setting.files.value(value)
    return setting.templates.filled(value, values)


def _made_id(given: str, messages: Messages, values: Vars, templates: Templates) -> str:
    """Return an id made from what is asked: on its own, or behind that of a test that makes several cases."""
    text = json.dumps(messages if given else [messages, values], sort_keys=True)
    templates.count_(len(text))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{given}-{digest[:8]}" if given else digest[:12]
