"""Make a model smaller: calibrate, score, budget, shape, cut, compensate, in that order."""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress import ratios
from compress.anatomy.blocks import blocks
from compress.calibration.calibrate import calibrate, read
from compress.calibration.stats import Stats
from compress.costs import Clock, peak_bytes, versions
from compress.cutting.compensate import add_bias_
from compress.cutting.cut import check, cut_
from compress.cutting.refit import refit_cut_
from compress.cutting.sparsify import sparsify_
from compress.planning.plan import plan
from compress.progress import Progress, silent
from compress.recipe import Receipt, Recipe
from compress.shape import Shape

Source = PreTrainedTokenizerBase | Tensor | None
"""What calibration text is read with; or (windows, tokens) token ids to calibrate on instead of it."""


def apply(
    model: PreTrainedModel,
    recipe: Recipe,
    tokenizer: Source = None,
    *,
    stats: Stats | None = None,
    shape: Shape | None = None,
    progress: Progress = silent,
) -> Receipt:
    """Compress `model` in place as `recipe` says.

    tokenizer: reads the recipe's calibration text; or (windows, tokens) token ids to calibrate on instead of it.
    stats: of a calibration of this model that was already run, for another recipe with the same calibration.
    shape: what to keep, instead of what the recipe's method would decide.
    Raises CompressError before the model is touched.
    """
    before = ratios.count(model)
    clock = Clock()
    if stats is None:
        with clock.stage("calibrate"):
            stats = calibrate(model, tokenizer, recipe.calibration, recipe.needs, progress)
    with clock.stage("plan"):
        shape = shape or plan(model, recipe, stats, progress)
    facts = stats.facts
    notes: tuple[str, ...] = ()
    if recipe.chosen().removes == "weights":
        with clock.stage("sparsify"):
            facts, notes = sparsify_(model, recipe, tokenizer, stats, progress)
    else:
        with clock.stage("cut"):
            if recipe.compensate == "least_squares":
                ids, facts = read(model, tokenizer, recipe.calibration)
                refit_cut_(model, shape, ids, progress=progress)
            else:
                biased_cut_(model, shape, stats if recipe.compensate == "bias" else None)
    after = ratios.aligned(ratios.count(model), shape)
    return Receipt(
        recipe=recipe,
        shape=shape,
        sparsity_by_block=ratios.by_block(before, after),
        ratios=ratios.measure(before, after),
        seconds=clock.seconds,
        peak_bytes=peak_bytes(),
        calibration=facts,
        versions=versions(),
        notes=notes,
    )


def biased_cut_(model: PreTrainedModel, shape: Shape, stats: Stats | None) -> None:
    """Cut, and where stats are given, let biases put out what the removed parts did on average."""
    check(model, shape)
    if stats is not None:
        for block, layer, seen in zip(blocks(model), shape.layers, stats.blocks, strict=True):
            if not layer.dropped:
                add_bias_(block, layer, seen)
    cut_(model, shape)
