"""Rows that begin alike, as a tree: a beginning that several rows share is one node, and is computed once.

Pure Python on token ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.scoring.requests import Request, Row


class Wanted(NamedTuple):
    """The probability of one token of one request."""

    offset: int
    """Position in the node's tokens after which it is looked at."""
    target: int
    """The token that follows there."""
    request: int


@dataclass(eq=False)
class Node:
    """A piece of one or more rows: what stands between two places where rows part or end."""

    tokens: tuple[int, ...]
    start: int
    """Tokens before it, from the beginning of the row."""
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """Rows that end here."""
    wanted: list[Wanted] = field(default_factory=list)
    size: int = 0
    """Tokens of the node and of all below it."""

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    def below(self) -> Iterator[Node]:
        """The node, then what is below it, parents before children."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def grown(rows: Sequence[Row], requests: Sequence[Request], start: int = 0) -> list[Node]:
    """The tops of the trees of all rows, which must be distinct and sorted by their tokens.

    start: tokens that all rows begin with and that stand in no tree.
    """
    root = Node((), start)
    last = root
    previous: tuple[int, ...] = ()
    for number, row in enumerate(rows):
        parting = max(start, common(previous, row.tokens))
        leaf = Node(row.tokens[parting:], parting, _at(last, parting), rows=[number])
        assert leaf.parent is not None
        leaf.parent.children.append(leaf)
        last, previous = leaf, row.tokens
    order = list(root.below())
    for node in order:
        for number in node.rows:
            _want(node, rows[number], requests)
    for node in reversed(order):
        node.size = len(node.tokens) + sum(child.size for child in node.children)
    for child in root.children:
        child.parent = None
    return root.children


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with. By halves, for comparing slices is far faster than comparing tokens."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _at(node: Node, depth: int) -> Node:
    """The node on the way to `node` that ends at `depth`; one that reaches over it is split there."""
    while node.start >= depth and node.parent is not None:
        node = node.parent
    if node.end == depth:
        return node
    cut = depth - node.start
    above = Node(node.tokens[:cut], node.start, node.parent, [node])
    if node.parent is not None:
        node.parent.children[-1] = above
    node.tokens, node.start, node.parent = node.tokens[cut:], depth, above
    return above


def _want(node: Node, row: Row, requests: Sequence[Request]) -> None:
    """Write down at each node what the requests of a row that ends at `node` want to know there."""
    for index in row.requests:
        at, depth = node, node.end
        for target in reversed(requests[index].continuation):
            depth -= 1
            while depth < at.start:
                assert at.parent is not None
                at = at.parent
            at.wanted.append(Wanted(depth - at.start, target, index))
