"""What happens to one layer at a time when a recipe is obeyed, for layers that are in memory one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from compress.anatomy.blocks import Block
from compress.anatomy.walk import entrance
from compress.calibration.collect import observed
from compress.calibration.stats import BlockStats
from compress.cutting.compensate import add_bias_
from compress.cutting.cut import cut_block_
from compress.cutting.refit import refit_block_, watched
from compress.cutting.sparsify import prepared, replace_, sparsify_block_, windows
from compress.recipe import Recipe
from compress.shape import Shape
from compress.streaming.skeleton import Skeleton

Edit = Callable[[Block], None]
"""Changes a layer that has its weights; called on every layer in turn, those that are dropped included."""


@dataclass(frozen=True)
class Task:
    """What the edit of a recipe may depend on."""

    source: Skeleton
    recipe: Recipe
    shape: Shape
    stats: Sequence[BlockStats]
    """Of the original, layer by layer."""
    ids: Tensor | None
    """(windows, tokens) of the calibration; None where none is read."""


def edit(task: Task) -> Edit:
    """The edit that a recipe asks for."""
    if task.recipe.chosen().removes == "weights":
        return _sparse(task)
    return _refitted(task) if task.recipe.compensate == "least_squares" else _cut(task)


def _cut(task: Task) -> Edit:
    def change_(block: Block) -> None:
        layer = task.shape.layers[block.index]
        if layer.dropped:
            return
        if task.recipe.compensate == "bias":
            add_bias_(block, layer, task.stats[block.index])
        cut_block_(block, layer)

    return change_


def _refitted(task: Task) -> Edit:
    assert task.ids is not None
    original = entrance(task.source.model, task.ids)
    cut = original.fork()

    def change_(block: Block) -> None:
        layer = task.shape.layers[block.index]
        aims = watched(block, original)
        if not layer.dropped:
            cut_block_(block, layer)
            refit_block_(block, aims, cut, attention=len(layer.groups) < layer.kv_heads)

    return change_


def _sparse(task: Task) -> Edit:
    job = prepared(task.source.blocks(), task.recipe)
    stream = None if task.ids is None else entrance(task.source.model, task.ids, windows(job, task.ids))

    def change_(block: Block) -> None:
        if stream is None:
            replace_(block, job, {})
        elif job.method.sequential:
            sparsify_block_(block, stream, job)
        else:
            replace_(block, job, observed(block, stream, job.method.needs).inputs)

    return change_
