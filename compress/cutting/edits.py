"""What happens to one layer after the other when a recipe is obeyed, in a model that is in memory or is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor
from transformers import PreTrainedModel

from compress.anatomy.blocks import Block, blocks
from compress.anatomy.walk import entrance, evaluating
from compress.calibration.collect import observed
from compress.calibration.stats import BlockStats
from compress.costs import give_back
from compress.cutting.compensate import add_bias_
from compress.cutting.cut import check, cut_block_, finish_
from compress.cutting.refit import RIDGE, refit_block_, watched
from compress.cutting.sparsify import prepared, replace_, sparsify_block_, windows
from compress.progress import Progress, silent
from compress.recipe import Recipe
from compress.shape import Shape

Edit = Callable[[Block], None]
"""Changes a layer that has its weights; called on every layer in turn, those that are dropped included."""


@dataclass(frozen=True)
class Task:
    """What the edit of a recipe may depend on."""

    model: PreTrainedModel
    """Its layers may be without weights until it is their turn."""
    recipe: Recipe
    shape: Shape
    stats: Sequence[BlockStats]
    """Of the original, layer by layer."""
    ids: Tensor | None
    """(windows, tokens) for what is decided, or refitted, by what a layer is given at its turn; None: nothing is."""
    ridge: float = RIDGE
    """Of the refit."""


def shrink_(task: Task, progress: Progress = silent) -> None:
    """Obey the task in a model that is in memory.

    Raises CompressError as `check` and `prepared` do, with the model untouched, and on activations that turn NaN.
    """
    check(task.model, task.shape)
    found = blocks(task.model)
    with evaluating(task.model):
        change_ = edit(task)
        for block in found:
            change_(block)
            give_back()
            progress("compressing", block.index + 1, len(found))
    if task.recipe.chosen().removes != "weights":
        finish_(task.model, task.shape)


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
    original = entrance(task.model, task.ids)
    cut = original.fork()

    def change_(block: Block) -> None:
        layer = task.shape.layers[block.index]
        aims = watched(block, original)
        if not layer.dropped:
            cut_block_(block, layer)
            refit_block_(block, aims, cut, task.ridge, attention=len(layer.groups) < layer.kv_heads)

    return change_


def _sparse(task: Task) -> Edit:
    job = prepared(blocks(task.model), task.recipe)
    stream = None if task.ids is None else entrance(task.model, task.ids, windows(job, task.ids))

    def change_(block: Block) -> None:
        if stream is None:
            replace_(block, job, task.stats[block.index].inputs)
        elif job.method.sequential:
            sparsify_block_(block, stream, job)
        else:
            replace_(block, job, observed(block, stream, job.method.needs).inputs)

    return change_
