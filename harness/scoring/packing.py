"""A forest of rows -> passes of the model, each token in as few of them as pays.

A small tree goes through the model in one row, its branches side by side and blind to each other; several small trees
share a row. Where a tree is too large for that, its trunk is computed first and kept, and what grows on it follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.scoring.tree import Node, Wanted

WORTHWHILE_TOKENS = 64
"""A trunk that saves fewer than this is computed again for each branch: a pass of its own has its price too."""
LONG_BRANCH = 8
"""A branch longer than so many trunks does not grow on it: on a kept trunk attention cannot skip the future."""


@dataclass(frozen=True)
class Pass:
    """One row of the model."""

    nodes: Sequence[Node]
    """In this order; each after its parent, if that is here too."""
    trunk: int
    """Tokens before them that were kept of earlier passes; what was kept beyond is forgotten first."""
    keep: bool = False
    """Whether they are a trunk themselves: then it is one node."""

    @property
    def tokens(self) -> int:
        return sum(len(node.tokens) for node in self.nodes)

    @property
    def is_line(self) -> bool:
        """Whether every token sees all before it."""
        return all(node.parent is before for before, node in zip(self.nodes, self.nodes[1:], strict=False))


def passes(forest: Sequence[Node], row_tokens: int, trunk: int = 0) -> Iterator[Pass]:
    """All nodes of a forest, trunks before what grows on them.

    row_tokens: how much is put into one row; a line that is longer goes alone. trunk: tokens that were kept and that
    all the forest grows on. The trees are changed on the way.
    """
    waiting: list[tuple[int, Sequence[Node], bool]] = [(trunk, forest, False)]
    while waiting:
        trunk, tops, too_large = waiting.pop()
        if not too_large:
            small, large = _parted(tops, row_tokens)
            for group in _filled(sorted(small, key=lambda node: -node.size), row_tokens):
                yield Pass([node for top in group for node in top.below()], trunk)
            # One at a time, with all that grows on it: a trunk is used up before another takes its place.
            waiting.extend((trunk, [top], True) for top in large)
            continue
        (top,) = tops
        yield Pass([top], trunk, keep=bool(top.children))
        if top.children:
            waiting.append((top.end, _cut_off(top), False))


def _parted(tops: Sequence[Node], row_tokens: int) -> tuple[list[Node], list[Node]]:
    """Trees that fit a row, and trunks and lines that do not; what does not pay as a trunk is given to its branches."""
    small: list[Node] = []
    large: list[Node] = []
    waiting = list(tops)
    while waiting:
        top = waiting.pop()
        if top.size <= row_tokens:
            small.append(top)
            continue
        long: list[Node] = []
        others: list[Node] = []
        for child in top.children:
            (long if len(child.tokens) > LONG_BRANCH * len(top.tokens) else others).append(child)
        pays = (len(others) - 1) * len(top.tokens) >= WORTHWHILE_TOKENS
        apart = long if pays else top.children
        if not apart:
            large.append(top)
            continue
        waiting.extend(_given(top, apart))
        if pays:
            top.children = others
            top.size = len(top.tokens) + sum(child.size for child in others)
            waiting.append(top)
    return small, large


def _given(top: Node, children: Sequence[Node]) -> list[Node]:
    """Branches, each with the tokens of the trunk before its own; what is wanted in the trunk is asked once."""
    for child in children:
        shift = len(top.tokens)
        child.wanted = [Wanted(offset + shift, target, request) for offset, target, request in child.wanted]
        child.tokens, child.start, child.parent = top.tokens + child.tokens, top.start, None
        child.size += shift
    children[0].wanted += top.wanted
    top.wanted = []
    return list(children)


def _cut_off(top: Node) -> list[Node]:
    for child in top.children:
        child.parent = None
    return top.children


def _filled(tops: Sequence[Node], row_tokens: int) -> Iterator[list[Node]]:
    """Trees in the order given, as many at a time as fit a row."""
    group: list[Node] = []
    room = row_tokens
    for top in tops:
        if group and top.size > room:
            yield group
            group, room = [], row_tokens
        group.append(top)
        room -= top.size
    if group:
        yield group
