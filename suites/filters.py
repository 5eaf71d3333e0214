"""The filters of templates: Nunjucks' names and results, each with a bound on what it builds.

Left out are `random`, which gives no prompt twice, and `center`, `urlize`, which no prompt needs.
"""

from __future__ import annotations

import functools
import json
import math
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Undefined

MAX_TEXT = 1_000_000
"""Characters of a text, or elements of a list, that a template may build."""
MAX_NUMBER = 10_000
"""Largest whole number that a filter takes as an option, such as a width."""
MAX_WORK = 2_000_000_000
"""Characters that all cases of one suite may hold, and its templates write and filter; an element counts as ten."""
FROM_JINJA = (
    *("abs", "batch", "capitalize", "d", "default", "dictsort", "first", "float", "groupby", "int", "last", "length"),
    *("list", "lower", "map", "reject", "rejectattr", "reverse", "select", "selectattr", "slice", "sort"),
    *("striptags", "sum", "title", "trim", "unique", "upper", "wordcount"),
)
ABOUT_ABSENCE = ("d", "default")
"""Filters that may be given a variable that there is not."""
ENTITIES = str.maketrans({"&": "&amp;", '"': "&quot;", "'": "&#39;", "<": "&lt;", ">": "&gt;"})


@dataclass
class Work:
    """What the templates of one suite have cost so far."""

    done: int = 0

    def add_(self, value: object) -> None:
        """Count a text or list; raises ValueError if it, or all together, is more than a suite may cost."""
        if isinstance(value, str | list | tuple | dict):
            refuse_long(len(value))
            self.count_(len(value) * (1 if isinstance(value, str) else 10))

    def count_(self, characters: int) -> None:
        """Count work that is like so many characters; raises ValueError as `add_` does."""
        self.done += characters
        if self.done > MAX_WORK:
            raise ValueError(f"the cases come to more than {MAX_WORK} characters in all; split the suite")


def refuse_long(length: int) -> None:
    """Raise ValueError for a text that would take the memory of the machine, before it is built."""
    if length > MAX_TEXT:
        raise ValueError(f"the text grows beyond {MAX_TEXT} characters")


def filters(known: Mapping[str, Callable[..., Any]], work: Work) -> dict[str, Callable[..., Any]]:
    """Return every filter by its name; known: those of Jinja2."""
    own: dict[str, Callable[..., Any]] = {
        "dump": dump,
        "e": escaped,
        "escape": escaped,
        "forceescape": escaped,
        "indent": indented,
        "join": joined,
        "load": json.loads,
        "nl2br": lambda text: replaced(text, "\n", "<br />\n"),
        "replace": replaced,
        "round": rounded,
        "safe": text_of,
        "string": text_of,
        "tojson": dump,
        "truncate": truncated,
        "urlencode": lambda text: urllib.parse.quote(text_of(text), safe="!'()*-._~"),
    }
    chosen = {name: known[name] for name in FROM_JINJA} | own
    return {name: limited(name, rule, work) for name, rule in chosen.items()}


def text_of(value: object) -> str:
    """Return a value as JavaScript would write it: true, 1 for 1.0, nothing for null, a list with commas between.

    A mapping is written as JSON, where JavaScript says no more than that it is one.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple):
        return ",".join(map(text_of, value))
    return dump(value)


def dump(value: object, indent: int | None = None) -> str:
    """Return a value as JSON in JavaScript's spelling: no blanks, 1 for 1.0."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(_whole(value), ensure_ascii=False, separators=separators, indent=indent)


def _whole(value: object) -> object:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list | tuple):
        return [_whole(element) for element in value]
    if isinstance(value, Mapping):
        return {str(key): _whole(element) for key, element in value.items()}
    return value


def escaped(text: object) -> str:
    """Return the text for use in HTML."""
    return text_of(text).translate(ENTITIES)


def indented(text: object, width: int = 4, first: bool = False) -> str:
    """Return the text with blanks before every line but the first."""
    lines = text_of(text).split("\n")
    refuse_long(len(lines) * width)
    return " " * width * first + ("\n" + " " * width).join(lines)


def joined(elements: Any, between: object = "", attribute: str | None = None) -> str:
    """Return the elements, or one attribute of each, as one text."""
    texts = [text_of(each if attribute is None else each[attribute]) for each in elements]
    refuse_long(sum(map(len, texts)) + len(texts) * len(text_of(between)))
    return text_of(between).join(texts)


def replaced(text: object, old: object, new: object, count: int = -1) -> str:
    """Return the text with one text in it replaced by another, everywhere or so many times."""
    whole, part, instead = text_of(text), text_of(old), text_of(new)
    refuse_long(len(whole) + whole.count(part) * (len(instead) - len(part)))
    return whole.replace(part, instead, count)


def rounded(number: float, precision: int = 0, method: str = "common") -> float:
    """Return the number with so many decimals; halves go up, as in JavaScript."""
    scaled = float(number) * 10.0**precision
    whole = math.ceil(scaled) if method == "ceil" else math.floor(scaled if method == "floor" else scaled + 0.5)
    return whole / 10.0**precision


def truncated(text: object, length: int = 255, killwords: bool = False, end: str = "...") -> str:
    """Cut a text that is longer than a length, at a blank unless words may be cut."""
    whole = text_of(text)
    if len(whole) <= length:
        return whole
    blank = -1 if killwords else whole.rfind(" ", 0, length + 1)
    return whole[: length if blank == -1 else blank] + end


def limited(name: str, rule: Callable[..., Any], work: Work) -> Callable[..., Any]:
    """Return a filter that needs a value to work on, and counts what it reads and builds."""

    @functools.wraps(rule)
    def counting(*arguments: Any, **options: Any) -> Any:
        for given in (*arguments, *options.values()):
            if isinstance(given, Undefined) and name not in ABOUT_ABSENCE:
                given._fail_with_undefined_error()
            if isinstance(given, int) and given is not arguments[0] and given > MAX_NUMBER:
                raise ValueError(f"{name}: {given} is more than {MAX_NUMBER}")
            work.add_(given)
        result = rule(*arguments, **options)
        if isinstance(result, Iterator):
            result = list(result)
        work.add_(result)
        return result

    return counting
