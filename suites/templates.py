"""Templates: promptfoo's Nunjucks, as Jinja2 in a sandbox in which nothing is called and nothing runs away.

Both agree on variables, filters, `if`, `for`, `set` and `raw`. Where they part, Nunjucks is followed: `elseif`, `===`,
`.length`, `range`, pairs of a mapping, numbers and texts added, how values are written. Deliberately different: a
variable that there is not is a fault where its value would be written, instead of nothing; an empty list counts as
false.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from jinja2 import Template, TemplateError, Undefined, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from suites.errors import SuiteError
from suites.filters import MAX_NUMBER, Work, filters, limited, refuse_long, text_of

Vars = Mapping[str, object]

MAX_LOOPS = 2
MAX_COMPILED = 1_000
ALLOWED_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getitem, nodes.Getattr),
    *(nodes.If, nodes.For, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.Keyword),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Mod, nodes.Neg, nodes.Concat),
    *(nodes.List, nodes.Dict, nodes.Pair, nodes.Tuple, nodes.Slice, nodes.Assign),
)
ROUNDS, RANGE, TEXT = "rounds of a loop", "numbers of a range", "text put together"
"""Filters of our own; no template can name them, for they have blanks."""
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
TAG = re.compile(r"\{[{%]")
JAVASCRIPT = re.compile(r"""("[^"]*"|'[^']*')|([=!]==)|(?<=\{%)(-?\s*)elseif\b""")


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
    compiled: dict[str, Template] = field(default_factory=dict)

    @functools.cached_property
    def environment(self) -> ImmutableSandboxedEnvironment:
        return _environment(self.surroundings, self.work)

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
            tree = self.environment.parse(_as_jinja(text))
            _translated(tree, 0)
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


def _as_jinja(text: str) -> str:
    """Return the text with what is JavaScript in its tags written as Jinja2 has it."""
    pieces, at = [], 0
    while begun := TAG.search(text, at):
        end = text.find("}}" if begun[0] == "{{" else "%}", begun.end())
        if end == -1:
            break
        pieces += [text[at : begun.start()], JAVASCRIPT.sub(_word, text[begun.start() : end])]
        at = end
    return "".join([*pieces, text[at:]])


def _word(found: re.Match[str]) -> str:
    quoted, compared, before = found.groups()
    if quoted is not None:
        return quoted
    return f"{before}elif" if compared is None else compared[:2]


def _translated(node: nodes.Node, loops: int) -> nodes.Node:
    """Return a part of a template as it may run, its own parts changed in place; raises SuiteError for the rest."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "range":
        node = _filter(nodes.List(node.args, lineno=node.lineno), RANGE)
    if not isinstance(node, ALLOWED_NODES):
        kind = type(node).__name__.lower()
        raise SuiteError(f"template line {node.lineno}: '{kind}' is not allowed; use vars, filters, if, for and set")
    if isinstance(node, nodes.Name) and node.name == "_conversation":
        raise SuiteError("template: _conversation: a test knows nothing of another; give it messages of its own")
    if isinstance(node, nodes.Assign) and loops:
        # In Nunjucks it would last beyond the round, in Jinja2 it does not.
        raise SuiteError(f"template line {node.lineno}: 'set' inside a loop is not allowed")
    loops += isinstance(node, nodes.For)
    if loops > MAX_LOOPS:
        raise SuiteError(f"template line {node.lineno}: loops nested deeper than {MAX_LOOPS} are not allowed")
    for name, part in node.iter_fields():
        if isinstance(part, nodes.Node):
            setattr(node, name, _translated(part, loops))
        elif isinstance(part, list):
            setattr(node, name, [_translated(each, loops) if isinstance(each, nodes.Node) else each for each in part])
    return _ours(node)


def _ours(node: nodes.Node) -> nodes.Node:
    """Return the node that does in Jinja2 what this one does in Nunjucks, within bounds."""
    if isinstance(node, nodes.Getattr):
        if node.attr == "length":
            return _filter(node.node, "length")
        # An item of a mapping comes before a method of Python's: {{ order.items }}.
        return nodes.Getitem(node.node, nodes.Const(node.attr, lineno=node.lineno), node.ctx, lineno=node.lineno)
    if isinstance(node, nodes.Concat):
        return _filter(nodes.List(node.nodes, lineno=node.lineno), TEXT)
    if isinstance(node, nodes.For):
        pairs = nodes.Const(isinstance(node.target, nodes.Tuple), lineno=node.lineno)
        node.iter = _filter(node.iter, ROUNDS, pairs)
    return node


def _filter(node: nodes.Node, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    inner = cast(nodes.Expr, node)
    return nodes.Filter(inner, name, list(arguments), [], None, None, lineno=node.lineno)


def _environment(surroundings: Mapping[str, str], work: Work) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(keep_trailing_newline=True, finalize=_finalized)
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
