"""Templates: promptfoo's Nunjucks, as Jinja2 in a sandbox in which nothing is called and nothing runs away.

Both agree on variables, filters, `if`, `for`, `set` and `raw`. Where they part, Nunjucks is followed: `elseif`, `===`,
`.length`, `range`, pairs of a mapping, numbers and texts added, how values are written. Deliberately different: a
variable that there is not is a fault where its value would be written, instead of nothing, but for prompts, where it
is noted; an empty list counts as false.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import ChainableUndefined, Template, TemplateError, Undefined, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from suites.errors import SuiteError
from suites.filters import MAX_NUMBER, Work, filters, limited, refuse_long, text_of
from suites.nunjucks import RANGE, ROUNDS, TEXT, as_jinja, translate_

Vars = Mapping[str, object]

MAX_COMPILED = 1_000
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": lambda left, right: left % right,
}
# A template is somebody else's program: these are the ways in which one can fail while it compiles or runs.
FAILURES = (
    *(TemplateError, SyntaxError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError),
    *(RecursionError, MemoryError),
)
RAW = re.compile(r"\{%-?\s*raw\b")


def has_template(value: object) -> bool:
    """Return whether there is a template in any text inside the value."""
    if isinstance(value, str):
        return ("{{" in value or "{%" in value or "{#" in value) and not _unfinished(value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(has_template, inside))


def _unfinished(text: str) -> bool:
    """Return whether a tag is begun and not ended in its line: then the whole text is no template, as in promptfoo."""
    if RAW.search(text):
        return False
    return any(
        begin in line and end not in line[line.rindex(begin) + 2 :]
        for line in text.splitlines()
        for begin, end in (("{%", "%"), ("{{", "}"), ("{#", "#"))
    )


@dataclass(frozen=True)
class Templates:
    """Compiled templates of one suite; a text that occurs in many cases is compiled once."""

    surroundings: Mapping[str, str] = field(default_factory=dict)
    """What `env.NAME` may name."""
    work: Work = field(default_factory=Work)
    absent: set[str] | None = None
    """Gathers the variables that there are not, for which nothing is written then; None: they are a fault."""
    compiled: dict[str, Template] = field(default_factory=dict)

    @functools.cached_property
    def environment(self) -> ImmutableSandboxedEnvironment:
        return _environment(self.surroundings, self.work, self.absent)

    def render(self, text: str, values: Vars) -> str:
        """Return the text with its templates filled in; raises SuiteError where that cannot be done."""
        try:
            self.work.add_(text)
            return self._written(self._compiled(text), values) if has_template(text) else text
        except UndefinedError as error:
            allowed = "; env.NAME needs --allow-env NAME" if "env" in text else ""
            raise SuiteError(f"template: {error}; vars: {', '.join(values) or 'none'}{allowed}") from error
        except FAILURES as error:
            raise SuiteError(f"template: {error}") from error

    def count_(self, characters: int) -> None:
        """Count work on a case that no template does; raises SuiteError if the suite costs too much."""
        try:
            self.work.count_(characters)
        except ValueError as error:
            raise SuiteError(str(error)) from error

    def filled(self, value: object, values: Vars) -> object:
        """Return a value with every text inside it rendered."""
        if isinstance(value, str):
            return self.render(value, values)
        if isinstance(value, list):
            return [self.filled(element, values) for element in value]
        if isinstance(value, dict):
            return {key: self.filled(element, values) for key, element in value.items()}
        return value

    def _compiled(self, text: str) -> Template:
        if text not in self.compiled:
            if len(self.compiled) >= MAX_COMPILED:
                self.compiled.clear()
            tree = self.environment.parse(as_jinja(text))
            translate_(tree)
            tree.set_environment(self.environment)
            self.compiled[text] = self.environment.from_string(tree)
        return self.compiled[text]

    def _written(self, template: Template, values: Vars) -> str:
        """Return what the template writes, and stop it when it writes too much."""
        pieces, length = [], 0
        for piece in template.generate(values):
            pieces.append(piece)
            length += len(piece)
            self.work.add_(piece)
            refuse_long(length)
        return "".join(pieces)


def _environment(surroundings: Mapping[str, str], work: Work, absent: set[str] | None) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        keep_trailing_newline=True,
        finalize=functools.partial(_counted, work, absent),
        undefined=Undefined if absent is None else ChainableUndefined,
    )
    environment.globals.clear()
    environment.globals.update({"env": dict(surroundings), "null": None})
    environment.filters = filters(environment.filters, work) | {
        ROUNDS: functools.partial(_rounds, work),
        RANGE: limited(RANGE, _range, work),
        TEXT: limited(TEXT, _put_together, work),
    }
    environment.intercepted_binops = frozenset(["+", *ARITHMETIC])
    environment.binop_table = {"+": functools.partial(_added, work)} | {
        sign: functools.partial(_calculated, rule) for sign, rule in ARITHMETIC.items()
    }
    return environment


def _counted(work: Work, absent: set[str] | None, value: object) -> object:
    """Return what `{{ value }}` writes; inside a block it is counted here, elsewhere once more as it is written."""
    if absent is not None and isinstance(value, Undefined) and value._undefined_obj is missing:
        absent.add(str(value._undefined_name))
        return ""
    text = _finalized(value)
    work.add_(text)
    return text


def _finalized(value: object) -> object:
    """Return what `{{ value }}` writes."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if value is None or isinstance(value, str | int | float | list | tuple | dict):
        return text_of(value)
    raise TypeError(f"cannot write a {type(value).__name__} into a prompt")


def _rounds(work: Work, value: Any, pairs: bool) -> list[Any]:
    """Return what a loop goes over: pairs of a mapping, elements of a list, nothing of what there is not."""
    if isinstance(value, Undefined) or value is None:
        return []
    if isinstance(value, dict) != pairs and (pairs is False or not isinstance(value, list | tuple)):
        raise TypeError("a loop over a mapping has two variables: for key, value in ...")
    elements = list(value.items() if isinstance(value, dict) else value)
    work.add_(elements)
    return elements


def _range(bounds: list[Any]) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > MAX_NUMBER:
        raise ValueError(f"range: more than {MAX_NUMBER} numbers")
    return list(numbers)


def _put_together(parts: list[Any]) -> str:
    return "".join(str(_finalized(part)) for part in parts)


def _added(work: Work, left: Any, right: Any) -> object:
    """Add numbers, or put a text and what is beside it together, as JavaScript does."""
    if isinstance(left, str) or isinstance(right, str):
        text = _put_together([left, right])
        work.add_(text)
        return text
    return _calculated(lambda first, second: first + second, left, right)


def _calculated(rule: Callable[[float, float], float], left: Any, right: Any) -> float:
    """Calculate in floating point, as JavaScript does; what comes out whole is a whole number, fit for an index."""
    for number in (left, right):
        if isinstance(number, Undefined):
            number._fail_with_undefined_error()
        if not isinstance(number, int | float):
            raise TypeError(f"cannot calculate with a {type(number).__name__}")
    result = rule(float(left), float(right))
    return int(result) if result.is_integer() and abs(result) < 2**53 else result
