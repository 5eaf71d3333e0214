"""Make a model smaller: calibrate, score, budget, shape, cut, compensate, recover, in that order."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress import ratios
from compress.accounts import receipt_of
from compress.calibration.calibrate import calibrate, read
from compress.calibration.stats import Stats
from compress.costs import Clock
from compress.cutting.edits import Task, shrink_
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
        ids, facts = _read_again(model, recipe, tokenizer)
        shrink_(Task(model, recipe, shape, stats.blocks, ids), progress)
    recovered = None
    if reader is not None and original is not None:
        with clock.stage("recover"):
            recovered = recover_(Patient(model, original, shape, stats), recipe, reader, resources, progress)
    receipt = receipt_of(recipe, shape, (before, ratios.count(model)), clock)
    return replace(receipt, calibration=facts or stats.facts, recovery=recovered, score_deciles=choice.deciles)


def _reader(recipe: Recipe, tokenizer: Source) -> PreTrainedTokenizerBase | None:
    """What the recovery's data are read with; None without a recovery. Raises CompressError on faulty files of it."""
    if recipe.recovery is None:
        return None
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise CompressError("recovery reads text, so it needs the model's tokenizer")
    check_data(recipe.recovery.data)
    return tokenizer


def _read_again(
    model: PreTrainedModel, recipe: Recipe, tokenizer: Source
) -> tuple[Tensor | None, CalibrationFacts | None]:
    """The calibration's token ids, for recipes whose layers are changed by what they are given at their turn."""
    method = recipe.chosen()
    sequential = method.removes == "weights" and method.needs and method.sequential
    if sequential or recipe.compensate == "least_squares":
        return read(model, tokenizer, recipe.calibration)
    return None, None
