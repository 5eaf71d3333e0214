"""The cases of a suite for a reader: what is asked, and what counts as right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from suites.assertions import Not, Unchecked
from suites.combining import Asserted, AssertSet
from suites.filters import dump
from suites.program import Program
from suites.schema import Case
from suites.script import Script
from suites.transforms import Transformed
from suites.wording import Wording

GIVEN_AS = {"wording": "rubricPrompt"}
"""Options whose name in a suite is another."""


def shown(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the lines of all cases."""
    for case in cases:
        tags = f" [{', '.join(sorted(case.tags))}]" if case.tags else ""
        yield f"{case.id}{tags}{f': {case.description}' if case.description else ''}"
        for message in case.messages:
            first, *more = message["content"].split("\n")
            yield f"  {message['role']}: {first}"
            yield from (f"    {line}" for line in more)
        for asserted in case.assertions:
            yield from _asserted(asserted, "  ")
        if case.threshold is not None:
            yield f"  passes from score {case.threshold:g}"


def _asserted(asserted: Asserted, margin: str) -> Iterator[str]:
    weight = "" if asserted.weight == 1 else f", weight {asserted.weight:g}"
    metric = f", metric {asserted.metric}" if asserted.metric else ""
    rule = asserted.rule.inner if isinstance(asserted.rule, Transformed) else asserted.rule
    changed = ", after a transform" if isinstance(asserted.rule, Transformed) else ""
    rule = rule.inner if isinstance(rule, Not) else rule
    if isinstance(rule, Unchecked):
        yield f"{margin}assert {asserted.type}, not checked: {rule.why}"
        return
    if isinstance(rule, AssertSet):
        yield f"{margin}assert {asserted.type}{weight}{metric}"
        for inner in rule.inside:
            yield from _asserted(inner, margin + "  ")
        return
    options = {name: value for name, value in vars(rule).items() if value is not None and name != "type"}
    stated = ", ".join(f"{GIVEN_AS.get(name, name)} {_written(value)}" for name, value in options.items())
    yield f"{margin}assert {asserted.type}{f': {stated}' if stated else ''}{weight}{metric}{changed}"


def _written(value: object) -> str:
    return f"{value.name}:{value.function}" if isinstance(value, Program) else dump(_in_text(value))


def _in_text(value: object) -> object:
    """The same with the text of what is a template or a script."""
    if isinstance(value, Wording):
        return value.text
    if isinstance(value, Script):
        return value.code
    if isinstance(value, Mapping):
        return {name: _in_text(inner) for name, inner in value.items()}
    return [_in_text(inner) for inner in value] if isinstance(value, list | tuple) else value
