"""Text of a YAML, JSON or JSONL file -> plain data, and the line where each key and element stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import yaml

from suites.errors import SuiteError

MAX_DEPTH = 64
MAX_NODES = 2_000_000
"""Counted with every alias written out, so that a few lines of aliases cannot grow without bound."""

UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[-0-9][-+.0-9eE]*|true|false|null|[\[\]{}\n]')
TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
TREE_TAGS = ("!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True, slots=True)
class Marks:
    """The line of a value, and the marks of what is inside it."""

    line: int
    inside: dict[str | int, Marks] = field(default_factory=lambda: NOTHING)


NOTHING: dict[str | int, Marks] = {}
"""Inside all the values that have nothing inside: most of a file, so it is not made for each."""


class Parsed(NamedTuple):
    """Plain data (dict, list, str, int, float, bool, None) with its marks."""

    data: object
    marks: Marks


class _Token(NamedTuple):
    kind: Literal["map", "list", "end", "value", "alias"]
    line: int
    text: str = ""
    value: object = None
    anchor: str | None = None


@dataclass(slots=True)
class _Node:
    """A value under construction; `key` is the mapping key that waits for its value."""

    data: object
    marks: Marks
    nodes: int = 1
    depth: int = 1
    anchor: str | None = None
    key: tuple[str, int] | None = None


def parse_yaml(text: str, file: str) -> Parsed:
    """Read one YAML document by the 1.2 core schema: yes, no, on and dates are text, as in promptfoo.

    Raises SuiteError for broken YAML, a duplicate key, a second document, a tag other than a string's, a list's or
    a mapping's, or a file nested or grown by aliases beyond the limits.
    """
    if found := UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise SuiteError(f"{file}:{line}: control character U+{ord(found[0]):04X} is not allowed")
    try:
        return _built(_yaml_tokens(text, file), file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SuiteError(f"{file}:{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise SuiteError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error


def parse_json(text: str, file: str) -> Parsed:
    """Read one JSON document; raises SuiteError as `parse_yaml` does."""
    _check_json(text, file, 1)
    return _built(_json_tokens(text, file, 1), file)


def parse_jsonl(text: str, file: str) -> Parsed:
    """Read one JSON document a line, as a list; blank lines are passed over. Raises SuiteError as `parse_yaml` does."""
    return _built(_jsonl_tokens(text, file), file)


def _yaml_tokens(text: str, file: str) -> Iterator[_Token]:
    documents = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise SuiteError(f"{file}:{line}: a second YAML document starts here; a file holds one")
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            _check_tag(event.tag, TREE_TAGS, file, line)
            kind: Literal["map", "list"] = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
            yield _Token(kind, line, anchor=event.anchor)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            yield _Token("end", line)
        elif isinstance(event, yaml.AliasEvent):
            yield _Token("alias", line, text=event.anchor or "")
        elif isinstance(event, yaml.ScalarEvent):
            _check_tag(event.tag, TEXT_TAGS, file, line)
            plain = event.tag is None and not event.style
            value = _plain(event.value, file, line) if plain else event.value
            yield _Token("value", line, event.value, value, event.anchor)


def _check_tag(tag: str | None, allowed: tuple[str, ...], file: str, line: int) -> None:
    if tag is not None and tag not in allowed:
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        raise SuiteError(f"{file}:{line}: YAML tag {shown!r} is not allowed")


def _plain(text: str, file: str, line: int) -> object:
    """Return the value of an unquoted scalar."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    try:
        if INTEGER.fullmatch(text):
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError as error:
        raise SuiteError(f"{file}:{line}: a number of {len(text)} digits is not allowed") from error
    return text


def _jsonl_tokens(text: str, file: str) -> Iterator[_Token]:
    rows = [(number, row) for number, row in enumerate(text.split("\n"), 1) if row.strip()]
    if not rows:
        return
    yield _Token("list", rows[0][0])
    for number, row in rows:
        _check_json(row, file, number)
        yield from _json_tokens(row, file, number)
    yield _Token("end", rows[-1][0])


def _check_json(text: str, file: str, first_line: int) -> None:
    """Let the standard parser judge the grammar, so that the tokens may be trusted."""
    if not text.strip():
        return
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise SuiteError(f"{file}:{first_line + error.lineno - 1}: not valid JSON: {error.msg}") from error
    except ValueError as error:
        raise SuiteError(f"{file}:{first_line}: not valid JSON: {error}") from error
    except RecursionError as error:
        raise SuiteError(f"{file}:{first_line}: nested deeper than {MAX_DEPTH} levels") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _json_tokens(text: str, file: str, line: int) -> Iterator[_Token]:
    for match in JSON_TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
        elif token in "{[":
            yield _Token("map" if token == "{" else "list", line)
        elif token in "}]":
            yield _Token("end", line)
        else:
            value = json.loads(token)
            if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
                raise SuiteError(f"{file}:{line}: half of a surrogate pair is not a character")
            yield _Token("value", line, value if isinstance(value, str) else token, value)


def _built(tokens: Iterable[_Token], file: str) -> Parsed:
    """Put the tokens together without recursion; an empty file gives None."""
    top: list[object] = []
    stack = [_Node(top, Marks(1, {}))]
    anchors: dict[str, _Node] = {}
    for token in tokens:
        node = stack[-1]
        if isinstance(node.data, dict) and node.key is None and token.kind != "end":
            node.key = _key(token, node, file)
            continue
        if token.kind in ("map", "list"):
            stack.append(_Node({} if token.kind == "map" else [], Marks(token.line, {}), anchor=token.anchor))
            continue
        done = _finished(token, stack, anchors, file)
        if done.anchor is not None:
            anchors[done.anchor] = done
        _add_(stack[-1], done, file)
    return Parsed(top[0], stack[0].marks.inside[0]) if top else Parsed(None, Marks(1))


def _finished(token: _Token, stack: list[_Node], anchors: dict[str, _Node], file: str) -> _Node:
    if token.kind == "end":
        return _merged(stack.pop(), file)
    if token.kind == "value":
        return _Node(token.value, Marks(token.line), anchor=token.anchor)
    if token.text not in anchors:
        raise SuiteError(f"{file}:{token.line}: alias '*{token.text}' has no finished anchor before it")
    source = anchors[token.text]
    return _Node(source.data, Marks(token.line), source.nodes, source.depth)


def _merged(node: _Node, file: str) -> _Node:
    """Obey YAML's merge key `<<`: keys of the named mapping that are not given here."""
    if not isinstance(node.data, dict) or "<<" not in node.data:
        return node
    source, mark = node.data.pop("<<"), node.marks.inside.pop("<<")
    for mapping in source if isinstance(source, list) else [source]:
        if not isinstance(mapping, dict):
            raise SuiteError(f"{file}:{mark.line}: <<: must name a mapping or a list of mappings")
        for key in mapping.keys() - node.data.keys():
            node.data[key], node.marks.inside[key] = mapping[key], mark
    return node


def _key(token: _Token, node: _Node, file: str) -> tuple[str, int]:
    if token.kind != "value":
        raise SuiteError(f"{file}:{token.line}: a key must be a plain word or text")
    if isinstance(node.data, dict) and token.text in node.data:
        first = node.marks.inside[token.text].line
        raise SuiteError(f"{file}:{token.line}: key {token.text!r} is given twice (first on line {first})")
    return token.text, token.line


def _add_(parent: _Node, child: _Node, file: str) -> None:
    parent.nodes += child.nodes
    parent.depth = max(parent.depth, child.depth + 1)
    if parent.depth > MAX_DEPTH:
        raise SuiteError(f"{file}:{child.marks.line}: nested deeper than {MAX_DEPTH} levels")
    if parent.nodes > MAX_NODES:
        raise SuiteError(f"{file}:{child.marks.line}: more than {MAX_NODES} values once aliases are written out")
    if isinstance(parent.data, list):
        parent.marks.inside[len(parent.data)] = child.marks
        parent.data.append(child.data)
    elif isinstance(parent.data, dict) and parent.key is not None:
        key, line = parent.key
        parent.key = None
        parent.marks.inside[key] = Marks(line, child.marks.inside)
        parent.data[key] = child.data
