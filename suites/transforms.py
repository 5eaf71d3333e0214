"""Transforms: programs that change an answer before an assertion sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from suites.assertions import Assertion, Check
from suites.errors import SuiteError
from suites.files import FILE, Files
from suites.filters import dump
from suites.judging import context_of, failed
from suites.program import Program, refuse_broken
from suites.reply import Reply
from suites.script import NEEDS, Script, inline_script

FUNCTION = "get_transform"
"""What is called in a Python file, unless a name stands behind that of the file."""


@dataclass(frozen=True)
class Transform:
    """A function of output and context: JavaScript, or Python from a file."""

    program: Script | Program

    @property
    def needs(self) -> frozenset[str]:
        return NEEDS if isinstance(self.program, Script) else frozenset({"code"})

    def applied(self, output: object, context: dict[str, object]) -> object:
        """Return what the program makes of an output; raises SuiteError if it fails, or makes nothing."""
        said = self.program.result(output, context)
        if said is None:
            raise SuiteError("the transform returned nothing")
        return said


@dataclass(frozen=True)
class Transformed:
    """An assertion on what transforms make of an answer, one after the other; the original's is changed alike."""

    inner: Assertion
    transforms: tuple[Transform, ...]

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs.union(*(each.needs for each in self.transforms))

    def check(self, answer: Reply, original: Reply | None) -> Check:
        try:
            changed = self._changed(answer, original)
            before = None if original is None else self._changed(original, original)
        except SuiteError as error:
            return failed("transform", error)
        return self.inner.check(changed, before)

    def _changed(self, answer: Reply, original: Reply | None) -> Reply:
        """Return the answer as the last transform leaves it."""
        output: object = answer.text
        context = context_of(answer, original, None)
        for each in self.transforms:
            output = each.applied(output, context)
        if isinstance(output, str):
            return replace(answer, text=output)
        return replace(answer, text=dump(output), data=output)


def transformed(rule: Assertion, stated: tuple[str | None, ...], files: Files) -> Assertion:
    """Return the rule behind the transforms that are stated; raises SuiteError for one that cannot be run."""
    transforms = tuple(_transform(text, files) for text in stated if text)
    return Transformed(rule, transforms) if transforms else rule


def _transform(text: str, files: Files) -> Transform:
    if not text.startswith(FILE):
        return Transform(inline_script(text))
    program = files.program(text, FUNCTION)
    try:
        if isinstance(program, Program):
            refuse_broken(program)
    except SuiteError as error:
        raise SuiteError(f"transform: {text!r}: {error}") from error
    return Transform(program)
