"""Prompts: templates over vars, chat messages, cartesian products of vars.

promptfoo's templates are Nunjucks; ours are Jinja2 in a sandbox, where an unknown variable is a fault. Both agree on
`{{ var }}`, filters, `if` and `for`. A template can neither call nor assign anything, so it cannot run away.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, Undefined, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from suites.errors import SuiteError

Vars = Mapping[str, object]

ROLES = ("system", "user", "assistant")
MAX_TEXT = 1_000_000
"""Characters of a prompt."""
MAX_LOOPS = 2
ALLOWED_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem),
    *(nodes.If, nodes.For, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.Keyword),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Neg, nodes.List, nodes.Slice),
)
ALLOWED_FILTERS = (
    *("abs", "capitalize", "default", "escape", "first", "float", "int", "join", "last", "length", "lower"),
    *("replace", "reverse", "safe", "sort", "string", "title", "trim", "unique", "upper", "urlencode"),
)
# A template is somebody else's program: these are the ways in which one can fail while it compiles or runs.
FAILURES = (
    *(TemplateError, SyntaxError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError),
    *(RecursionError, MemoryError),
)


def text_of(value: object) -> str:
    """Return a value as JavaScript would write it: true, 1 for 1.0, nothing for null; lists and mappings as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def has_template(value: object) -> bool:
    """Return whether there is a template in any text inside the value."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(has_template, inside))


@dataclass(frozen=True)
class Templates:
    """Compiled templates of one suite; a text that occurs in many cases is compiled once."""

    environment: ImmutableSandboxedEnvironment = field(default_factory=lambda: _environment())
    compiled: dict[str, Template] = field(default_factory=dict)

    def render(self, text: str, values: Vars) -> str:
        """Return the text with its templates filled in; raises SuiteError where that cannot be done."""
        if not has_template(text):
            return text
        try:
            if text not in self.compiled:
                _check_nodes(self.environment.parse(text))
                self.compiled[text] = self.environment.from_string(text)
            return _short(self.compiled[text].render(values))
        except UndefinedError as error:
            raise SuiteError(f"template: {error}; vars: {', '.join(values) or 'none'}") from error
        except FAILURES as error:
            raise SuiteError(f"template: {error}") from error

    def filled(self, value: object, values: Vars) -> object:
        """Return a value with every text inside it rendered."""
        if isinstance(value, str):
            return self.render(value, values)
        if isinstance(value, list):
            return [self.filled(element, values) for element in value]
        if isinstance(value, dict):
            return {key: self.filled(element, values) for key, element in value.items()}
        return value


def combinations(values: Vars, expand: bool) -> Iterator[dict[str, object]]:
    """Yield one set of vars for each choice out of the lists among them, the first var changing slowest."""
    choices = [value if expand and isinstance(value, list) else [value] for value in values.values()]
    for chosen in itertools.product(*choices):
        yield dict(zip(values, chosen, strict=True))


def filled_vars(values: Vars, templates: Templates) -> dict[str, object]:
    """Return the vars, those that are templates themselves filled in from the others."""
    return {
        name: templates.render(value, values) if isinstance(value, str) else value for name, value in values.items()
    }


def messages_of(prompt: str, values: Vars, templates: Templates) -> list[dict[str, str]]:
    """Return the chat that a prompt makes: a JSON array of messages as it is, other text as one user message.

    In a prompt that is JSON before it is filled in, vars are put inside its texts and need no JSON escapes.
    """
    chat = chat_of(prompt)
    if chat is not None:
        return [{"role": part["role"], "content": templates.render(part["content"], values)} for part in chat]
    text = templates.render(prompt, values)
    if not text.strip():
        raise SuiteError("the prompt is empty")
    return chat_of(text) or [{"role": "user", "content": text}]


def chat_of(text: str) -> list[dict[str, str]] | None:
    """Return the messages if the text is a JSON array of them, None if it is other text."""
    if not text.lstrip().startswith("["):
        return None
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not parts or not all(isinstance(part, dict) and "role" in part for part in parts):
        return None
    for number, part in enumerate(parts, 1):
        if part.keys() != {"role", "content"} or part["role"] not in ROLES or not isinstance(part["content"], str):
            raise SuiteError(f"chat message {number}: give a role ({', '.join(ROLES)}) and a content of text, no more")
    return [{"role": part["role"], "content": part["content"]} for part in parts]


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True, finalize=_finalized
    )
    environment.globals.clear()
    known = environment.filters
    filters: dict[str, Callable[..., Any]] = {name: _limited(known[name]) for name in ALLOWED_FILTERS}
    filters["dump"] = _limited(text_of)
    environment.filters = filters
    return environment


def _finalized(value: object) -> object:
    """Return what `{{ value }}` writes."""
    if isinstance(value, Undefined):
        return value
    if value is None or isinstance(value, str | int | float | list | dict):
        return text_of(value)
    raise TypeError(f"cannot write a {type(value).__name__} into a prompt")


def _limited(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that refuses to build very long texts, as a chain of replacements could."""

    @functools.wraps(rule)
    def limited(*arguments: object, **options: object) -> object:
        result = rule(*arguments, **options)
        return _short(result) if isinstance(result, str) else result

    return limited


def _short(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ValueError(f"the text grows beyond {MAX_TEXT} characters")
    return text


def _check_nodes(node: nodes.Node, loops: int = 0) -> None:
    if not isinstance(node, ALLOWED_NODES):
        kind = type(node).__name__.lower()
        raise SuiteError(f"template line {node.lineno}: '{kind}' is not allowed; use vars, filters, if and for")
    loops += isinstance(node, nodes.For)
    if loops > MAX_LOOPS:
        raise SuiteError(f"template line {node.lineno}: loops nested deeper than {MAX_LOOPS} are not allowed")
    for child in node.iter_child_nodes():
        _check_nodes(child, loops)
