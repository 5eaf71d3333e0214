"""What Nunjucks writes in another way than Jinja2, translated: in the text of a template, then in its tree."""

from __future__ import annotations

import re
from typing import cast

from jinja2 import nodes

from suites.errors import SuiteError

MAX_LOOPS = 2
ALLOWED_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getitem, nodes.Getattr),
    *(nodes.If, nodes.For, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.Keyword),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Mod, nodes.Neg, nodes.Concat),
    *(nodes.List, nodes.Dict, nodes.Pair, nodes.Tuple, nodes.Slice, nodes.Assign),
    nodes.AssignBlock,
)
ROUNDS, RANGE, TEXT = "rounds of a loop", "numbers of a range", "text put together"
"""Filters of our own; no template can name them, for they have blanks."""
TAG = re.compile(r"\{[{%]")
JAVASCRIPT = re.compile(r"""("[^"]*"|'[^']*')|([=!]==)|(?<=\{%)(-?\s*)elseif\b""")


def as_jinja(text: str) -> str:
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


def translate_(tree: nodes.Template) -> None:
    """Change a template so that it may run and does what it would in Nunjucks; raises SuiteError where it cannot."""
    _refuse_lasting(tree)
    _translated(tree, 0)


def _translated(node: nodes.Node, loops: int) -> nodes.Node:
    """Return a part of a template as it may run, its own parts changed in place; raises SuiteError for the rest."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "range":
        node = _filter(nodes.List(node.args, lineno=node.lineno), RANGE)
    if not isinstance(node, ALLOWED_NODES):
        kind = type(node).__name__.lower()
        raise SuiteError(f"template line {node.lineno}: '{kind}' is not allowed; use vars, filters, if, for and set")
    if isinstance(node, nodes.Name) and node.name == "_conversation":
        raise SuiteError("template: _conversation: a test knows nothing of another; give it messages of its own")
    if isinstance(node, nodes.AssignBlock) and loops:
        raise SuiteError(f"template line {node.lineno}: a 'set' block inside a loop is not allowed")
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


def _refuse_lasting(tree: nodes.Template) -> None:
    """Refuse a variable set inside a loop where Nunjucks would remember it beyond the round, as Jinja2 does not.

    It may be set before it is named, at the top of the loop's body, and named only in the same loop.
    """
    allowed = set()
    for loop in tree.find_all(nodes.For):
        for assigned in loop.body:
            if isinstance(assigned, nodes.Assign) and _lasts_one_round(assigned, loop, tree):
                allowed.add(id(assigned))
    for loop in tree.find_all(nodes.For):
        for assigned in loop.find_all(nodes.Assign):
            if id(assigned) not in allowed:
                raise SuiteError(
                    f"template line {assigned.lineno}: 'set' in a loop lasts for one round; name it there only"
                )


def _lasts_one_round(assigned: nodes.Assign, loop: nodes.For, tree: nodes.Template) -> bool:
    stored = {name.name for name in _names(assigned.target)}
    if stored & {name.name for name in _names(assigned.node)}:
        return False
    for name in stored:
        inside = [each for part in loop.body for each in _names(part) if each.name == name]
        everywhere = [each for each in _names(tree) if each.name == name]
        if len(inside) < len(everywhere) or inside[0] not in _names(assigned.target):
            return False
    return True


def _names(node: nodes.Node) -> list[nodes.Name]:
    """Return the variables that a part names, in the order of the text."""
    own = [node] if isinstance(node, nodes.Name) else []
    return [*own, *node.find_all(nodes.Name)]
