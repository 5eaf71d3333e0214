"""Make a model smaller: calibrate, score, budget, shape, cut, compensate, recover, in that order."""

from __future__ import annotations

import copy

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
from compress.errors import CompressError
from compress.planning.plan import Planned, planned
from compress.progress import Progress, silent
from compress.receipt import CalibrationFacts, Receipt
from compress.recipe import Recipe
from compress.recover import Patient, Resources, recover_
from compress.shape import Shape
from compress.stepwise import in_steps_
from compress.training.sources import check as check_data

NONE = Resources()
Source = PreTrainedTokenizerBase | Tensor | None
"""What calibration text is read with; or (windows, tokens) token ids to calibrate on instead of it."""


def apply(
    model: PreTrainedModel,
    recipe: Recipe,
    tokenizer: Source = None,
    *,
    stats: Stats | None = None,
    shape: Shape | None = None,
    resources: Resources = NONE,
    progress: Progress = silent,
) -> Receipt:
    """Compress `model` in place as `recipe` says.

    tokenizer: reads the recipe's calibration text; or (windows, tokens) token ids to calibrate on instead of it.
    stats: of a calibration of this model that was already run, for another recipe with the same calibration.
    shape: what to keep, instead of what the recipe's method would decide. resources: for the recipe's recovery.
    Raises CompressError before the model is touched, but for faults of the recovery, and for activations that turn NaN
    where layers are changed one after the other: then it is of no use any more.
    """
    reader = _reader(recipe, tokenizer)
    if recipe.steps > 1 and reader is not None:
        if shape is not None:
            raise CompressError("steps: a given shape is cut at once; leave 'steps' or the shape out")
        return in_steps_(model, recipe, reader, (stats, resources), progress)
    before = ratios.count(model)
    clock = Clock()
    if stats is None:
        with clock.stage("calibrate"):
            stats = calibrate(model, tokenizer, recipe.calibration, recipe.needs, progress)
    with clock.stage("plan"):
        choice = Planned(shape) if shape else planned(model, recipe, stats, progress)
    shape = choice.shape
    original = resources.original or copy.deepcopy(model) if reader else None
    with clock.stage("cut"):
        facts, notes = _shrink_(model, recipe, tokenizer, (shape, stats), progress)
    recovered = None
    if reader is not None and original is not None:
        with clock.stage("recover"):
            recovered = recover_(Patient(model, original, shape, stats), recipe, reader, resources, progress)
    after = ratios.aligned(ratios.count(model), shape)
    return Receipt(
        recipe=recipe,
        shape=shape,
        sparsity_by_block=ratios.by_block(before, after),
        ratios=ratios.measure(before, after),
        seconds=clock.seconds,
        peak_bytes=peak_bytes(),
        calibration=facts or stats.facts,
        versions=versions(),
        notes=(*recipe.notes, *notes),
        recovery=recovered,
        score_deciles=choice.deciles,
    )


def _reader(recipe: Recipe, tokenizer: Source) -> PreTrainedTokenizerBase | None:
    """What the recovery's data are read with; None without a recovery. Raises CompressError on faulty files of it."""
    if recipe.recovery is None:
        return None
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise CompressError("recovery reads text, so it needs the model's tokenizer")
    check_data(recipe.recovery.data)
    return tokenizer


def _shrink_(
    model: PreTrainedModel, recipe: Recipe, tokenizer: Source, found: tuple[Shape, Stats], progress: Progress
) -> tuple[CalibrationFacts | None, tuple[str, ...]]:
    """Cut or zero, and compensate; what was read for it, and notes."""
    shape, stats = found
    if recipe.chosen().removes == "weights":
        return sparsify_(model, recipe, tokenizer, stats, progress)
    if recipe.compensate == "least_squares":
        ids, facts = read(model, tokenizer, recipe.calibration)
        refit_cut_(model, shape, ids, progress=progress)
        return facts, ()
    biased_cut_(model, shape, stats if recipe.compensate == "bias" else None)
    return None, ()


def biased_cut_(model: PreTrainedModel, shape: Shape, stats: Stats | None) -> None:
    """Cut, and where stats are given, let biases put out what the removed parts did on average."""
    check(model, shape)
    if stats is not None:
        for block, layer, seen in zip(blocks(model), shape.layers, stats.blocks, strict=True):
            if not layer.dropped:
                add_bias_(block, layer, seen)
    cut_(model, shape)
