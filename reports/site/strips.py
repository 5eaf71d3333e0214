"""A strip of cells as a few SVG paths: one a kind of cell, however many jobs there are."""

from __future__ import annotations

WIDTH, HEIGHT, STEP = 9, 16, 11

# Shapes differ, so that a strip reads without its colours: a bar, a low bar, arrows down and up, a line.
CELLS = {
    "p": ("right", "0h9v16h-9z"),
    "f": ("wrong", "10h9v6h-9z"),
    "l": ("loss", "0h9l-4.5 16z"),
    "g": ("gain", "16h9l-4.5-16z"),
    "-": ("none", "15h9v1h-9z"),
}


def paths(cells: str) -> dict[str, str]:
    """Kind of cell -> the path of all cells of that kind, for those that there are."""
    found: dict[str, list[str]] = {}
    for at, cell in enumerate(cells):
        kind, shape = CELLS[cell]
        found.setdefault(kind, []).append(f"M{at * STEP} {shape}")
    return {kind: "".join(parts) for kind, parts in found.items()}


def width(cells: str) -> int:
    """Of the whole strip, in SVG user units."""
    return len(cells) * STEP
