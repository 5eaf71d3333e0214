"""What there is: packaged recipes, methods, budget and recovery rules, each with a sentence and its options."""

from __future__ import annotations

import importlib
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from importlib import resources
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from compress import budgets, methods, recipe_names, recovery
from compress.plugins import Folder

REMOVES = {
    "width": "FFN channels, and kv groups if asked",
    "weights": "single weights, by zeroing them",
    "layers": "whole decoder layers",
}
SHORT = {"width": "channels", "weights": "single weights", "layers": "layers"}
BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def recipe_catalogue() -> list[str]:
    """One line a packaged recipe."""
    names = recipe_names()
    width = max(map(len, names))
    return [f"{name:{width}}  {_comment(name)}" for name in names]


def _comment(name: str) -> str:
    """The comment at the head of a recipe."""
    text = resources.files("compress").joinpath("library", f"{name}.yaml").read_text(encoding="utf-8")
    head = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        head.append(line.removeprefix("#").strip())
    return " ".join(head)


def method_catalogue() -> list[str]:
    """Methods, budget rules, recovery rules; under each what it removes or reads, and its options."""
    lines = ["methods"]
    for name in methods.names():
        lines += _entry(methods.FOLDER, name, _method_facts(methods.FOLDER.load(name)))
    lines += ["", "budgets: how a sparsity is handed out over the layers"]
    for name in budgets.names():
        lines += _entry(budgets.FOLDER, name, [f"reads    {_reads(budgets.FOLDER.load(name))}"])
    lines += ["", "recovery rules: how a cut model gets its quality back"]
    for name in recovery.FOLDER.names():
        suited = [short for removes, short in SHORT.items() if removes in recovery.FOLDER.load(name).suits]
        lines += _entry(recovery.FOLDER, name, [f"after    methods that remove {' or '.join(suited)}"])
    return lines


def _method_facts(kind: Any) -> list[str]:
    """Of a method with its default options."""
    method = kind()
    facts = [f"removes  {REMOVES[method.removes]}{_hint(kind, 'removes')}", f"reads    {_reads(kind)}"]
    if method.removes == "width":
        facts.append(f"budget   {method.budget}, unless the recipe names another")
    return facts


def _reads(kind: Any) -> str:
    """What calibration has to gather."""
    return (", ".join(sorted(kind().needs)) or "no calibration text") + _hint(kind, "needs")


def _hint(kind: Any, name: str) -> str:
    """Said of what is a property, so that options can change it."""
    return "; options can change that" if isinstance(getattr(kind, name), property) else ""


def _entry(folder: Folder, name: str, facts: list[str]) -> Iterator[str]:
    """One plug-in: its sentence, facts, options."""
    module = importlib.import_module(f"{folder.package.__name__}.{name}")
    kind = folder.load(name)
    yield ""
    yield f"  {name}: {_first_line(module.__doc__ or '', name)}"
    yield from (f"      {fact}" for fact in facts)
    hints = get_type_hints(kind, include_extras=True)
    for option in fields(kind):
        yield f"      option   {option.name}: {shown_type(hints[option.name])}{_default(option)}"


def _first_line(text: str, name: str) -> str:
    """Of a docstring, without the name that it may begin with."""
    line = text.strip().partition("\n")[0]
    head, colon, rest = line.partition(": ")
    return rest if colon and head.lower().replace("-", "_") == name else line


def _default(option: Field[Any]) -> str:
    """ " = value", or that there is none."""
    if option.default is not MISSING:
        return f" = {shown_value(option.default)}"
    if option.default_factory is not MISSING:
        return f" = {shown_value(option.default_factory())}"
    return " (must be given)"


def shown_value(value: Any) -> str:
    """As one would write it in a recipe."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown_type(hint: Any) -> str:
    """What a recipe may say for an option of this type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return shown_type(arguments[0]) + "".join(_bound(one) for one in hint.__metadata__)
    if origin in (Union, types.UnionType):
        return " | ".join(shown_type(one) for one in arguments)
    if origin is Literal:
        return " | ".join(shown_value(one) for one in arguments)
    if hint is bool:
        return "true | false"
    if hint is type(None):
        return "null"
    if origin is tuple:
        return f"list of {shown_type(arguments[0])}"
    if origin is not None:
        return f"{getattr(origin, '__name__', origin)}[{', '.join(shown_type(one) for one in arguments)}]"
    return {int: "whole number", float: "number", str: "text"}.get(hint, getattr(hint, "__name__", str(hint)))


def _bound(field: Any) -> str:
    """Limits of a pydantic field."""
    limits = [
        (sign, getattr(one, name))
        for one in getattr(field, "metadata", ())
        for name, sign in BOUNDS.items()
        if hasattr(one, name)
    ]
    return "".join(f" {sign} {limit}" for sign, limit in limits)
