"""A history as a chart of plain letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

WIDTH, HEIGHT = 72, 9
ROOM = 10


def chart(
    values: Sequence[float], marks: Mapping[int, str], level: float | None, label: Callable[[float], str]
) -> list[str]:
    """One column a run, the newest at the right; more runs than columns: the newest ones.

    marks: index -> the letter that stands for this run. level: a line. label: what to write at the lowest and the
    highest row.
    """
    first = max(0, len(values) - WIDTH)
    seen = list(values[first:])
    low, high = (
        min([*seen, *([level] if level is not None else [])]),
        max([*seen, *([level] if level is not None else [])]),
    )
    rows = [[" "] * len(seen) for _ in range(HEIGHT)]

    def row(value: float) -> int:
        share = (value - low) / (high - low) if high > low else 0.5
        return round((1 - share) * (HEIGHT - 1))

    if level is not None:
        rows[row(level)] = ["-"] * len(seen)
    for column, value in enumerate(seen):
        rows[row(value)][column] = marks.get(first + column, "*")
    heads = [label(high), *[""] * (HEIGHT - 2), label(low)]
    return [f"{head:>{ROOM}} |{''.join(cells)}".rstrip() for head, cells in zip(heads, rows, strict=True)]
