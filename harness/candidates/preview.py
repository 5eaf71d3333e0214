"""What a recipe would do to a model, as lines for the terminal and as a file to edit; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from compress import CompressError, Recipe, Shape
from harness import drafts
from harness.candidates.calibrations import gathered
from harness.candidates.catalogue import shown_value
from harness.showing.receipts import step_lines

if TYPE_CHECKING:
    from compress.planning.forecast import Forecast
    from compress.training.facts import Recovered
    from harness.candidates.making import Order
    from harness.models.subject import Subject
    from harness.progress import Progress

Row = tuple[str, ...]


def fact(name: str, value: str) -> str:
    """One line of two columns."""
    return f"{name:<11} {value}"


def ratio_lines(ratios: dict[str, float | None]) -> list[str]:
    """All ratio definitions; - where one does not apply."""
    return [fact(name, "-" if value is None else f"{value:.4f}") for name, value in ratios.items()]


def recipe_lines(recipe: Recipe) -> list[str]:
    """What was asked."""
    options = ", ".join(f"{name}: {shown_value(value)}" for name, value in recipe.options.items())
    lines = [fact("method", f"{recipe.method} ({options})" if options else recipe.method)]
    if recipe.goal is not None:
        lines.append(fact("aim", f"{recipe.goal.ratio} {recipe.goal.value:g}"))
    if recipe.recovery is not None:
        lines.append(fact("recovery", f"{recipe.recovery.rule}, objective {recipe.recovery.objective}"))
    if recipe.steps > 1:
        lines.append(fact("steps", f"{recipe.steps}, each a cut and a recovery"))
    return lines


def recovery_lines(recovered: Recovered) -> list[str]:
    """What a recovery brought."""
    lines = [fact("held out", f"loss {recovered.before:.4f} -> {recovered.after:.4f} nats a token")]
    if recovered.tokens:
        pace = f"{recovered.tokens / recovered.seconds:,.0f} a second, in {recovered.precision}"
        lines.append(fact("trained", f"{recovered.tokens:,} tokens in {recovered.seconds:,.0f} s, {pace}"))
    if recovered.ranks:
        ranks = " ".join(str(rank) for rank in recovered.ranks)
        lines.append(fact("ranks", ranks if len(set(recovered.ranks)) > 1 else f"{recovered.ranks[0]} in every layer"))
    if recovered.adapters != "none":
        lines.append(fact("adapters", recovered.adapters))
    if recovered.contest is not None:
        found, (low, high) = recovered.contest, recovered.contest.interval
        lines.append(
            fact("against", f"uniform ranks: {found.decision} ({found.difference:+.4f}, {low:+.4f} to {high:+.4f})")
        )
    lines += [fact(*line) for line in step_lines(recovered)]
    return [*lines, *(fact("note", note) for note in recovered.notes)]


def previewed(original: Subject, order: Order, progress: Progress) -> tuple[Shape | None, list[str]]:
    """(what would stay, lines that say it). The shape is None for methods that zero single weights.

    Raises CompressError if the recipe cannot be obeyed, or a given shape is not one of this model.
    """
    from compress import plan
    from compress.anatomy.blocks import blocks
    from compress.planning.forecast import forecast

    model = original.plain().model
    head = recipe_lines(order.recipe)
    if order.recipe.chosen().removes == "weights":
        return None, [*head, "", *pattern_lines(order.recipe, len(blocks(model)))]
    if order.recipe.steps > 1:
        head.append(fact("note", "shown is one cut of all; what stays depends on the recoveries between the steps"))
    seen = gathered(original, order.recipe.calibration, order.needs, progress)
    shape = order.shape or plan(model, order.recipe, seen.stats, progress)
    chosen = (
        fact("statistics", seen.line()) if order.shape is None else fact("shape", "given, not chosen by the method")
    )
    return shape, [*head, chosen, "", *shape_lines(shape, forecast(model, shape))]


def shape_lines(shape: Shape, expected: Forecast) -> list[str]:
    """A table of the layers, then what it comes to."""
    rows: list[Row] = []
    for layer, removed in zip(shape.layers, expected.removed, strict=True):
        if layer.channels or layer.groups:
            channels = f"{len(layer.channels):,} of {layer.intermediate:,}"
            rows.append((channels, f"{len(layer.groups)} of {layer.kv_heads}", f"{100 * removed:.1f} %"))
        else:
            rows.append(("none", "none", "dropped"))
    before, after = expected.parameters
    old, new = expected.weights_bytes
    return [
        *table(("channels", "kv groups", "removed"), rows),
        "",
        fact("parameters", f"{before:,} -> {after:,}"),
        fact("weights", f"{old / 1e6:,.1f} MB -> {new / 1e6:,.1f} MB"),
        *ratio_lines(expected.ratios),
    ]


def pattern_lines(recipe: Recipe, layers: int) -> list[str]:
    """The same for methods that zero single weights; sizes stay."""
    method = recipe.chosen()
    rows: list[Row] = []
    for index in range(layers):
        pattern = method.kept(index, layers)
        if pattern is None:
            assert recipe.goal is not None, "only N:M patterns go without"
            rows.append((f"{1 - recipe.goal.value:.1%} of the weights",))
        else:
            rows.append(("{} of every {} inputs".format(*pattern),))
    return [*table(("kept",), rows), "", "zeros are stored like other weights: the size on disk stays"]


def table(heads: Row, rows: Sequence[Row]) -> list[str]:
    """Aligned columns, one row a layer; equal neighbours share a row."""
    lines: list[Row] = [("layers", *heads)]
    for row, run in groupby(enumerate(rows), key=lambda pair: pair[1]):
        indices = [index for index, _ in run]
        name = str(indices[0]) if len(indices) == 1 else f"{indices[0]}-{indices[-1]}"
        lines.append((name, *row))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(_cells(line, widths)).rstrip() for line in lines]


def _cells(line: Row, widths: list[int]) -> list[str]:
    """The name to the left, all else to the right."""
    return [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]


def read_shape(path: Path) -> Shape:
    """A shape from a file. Raises CompressError naming the file."""
    try:
        return Shape.from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise CompressError(f"{path}: not UTF-8") from None
    except OSError as error:
        raise CompressError(f"{path}: cannot read the shape: {error.strerror}") from None
    except CompressError as error:
        raise CompressError(f"{path}: {error}") from None


def write_shape(shape: Shape, path: Path) -> None:
    """A shape as JSON, one layer a line. Raises HarnessError if it cannot be written."""
    layers = ",\n".join(json.dumps(asdict(layer), separators=(",", ":")) for layer in shape.layers)
    text = f'{{"hidden":{shape.hidden},"head_dim":{shape.head_dim},"layers":[\n{layers}\n]}}\n'
    drafts.write(path, [text])
