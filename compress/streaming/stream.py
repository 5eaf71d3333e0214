"""Compress a model folder layer by layer, for models that do not fit into memory: same masks, same weights."""

from __future__ import annotations

import copy
import inspect
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from compress import ratios
from compress.accounts import receipt_of
from compress.anatomy.blocks import Block, blocks
from compress.anatomy.walk import Stream, entrance, evaluating
from compress.calibration.calibrate import embedded_tokens, read
from compress.checkpoints.checkpoint import MODELING, RECEIPT, TOLERANCE, placed, refuse_target, write_rest
from compress.checkpoints.layout import add_bias_, description_of
from compress.checkpoints.modelling import class_name, stock_class
from compress.checkpoints.opening import described
from compress.costs import Clock
from compress.cutting.cut import cut_
from compress.cutting.edits import Edit, Task, edit
from compress.errors import CompressError
from compress.planning.plan import score_deciles
from compress.progress import Progress, silent
from compress.receipt import CalibrationFacts, Receipt
from compress.recipe import Recipe
from compress.shape import Layout, Shape
from compress.streaming.shards import Shards
from compress.streaming.skeleton import Skeleton, bare, empty_, layer_prefix, opened
from compress.streaming.survey import Question, surveyed


@dataclass(frozen=True)
class Choices:
    """What else can be chosen."""

    tokenizer: PreTrainedTokenizerBase | None = None
    """Reads the calibration text, and is saved."""
    dtype: torch.dtype | None = None
    """None keeps that of the weights."""
    layout: Layout = "auto"
    """As for `save`, but not padded."""
    shape: Shape | None = None
    """What to keep, instead of what the recipe's method would decide."""


def stream(
    folder: Path | str,
    recipe: Recipe,
    out: Path | str,
    progress: Progress = silent,
    choices: Choices = Choices(),
) -> Receipt:
    """Compress the model in `folder` into the new folder `out`, as `apply` and `save` would; on the CPU.

    In memory are the hidden states of the calibration tokens, two layers, and what belongs to no layer; for gradients,
    the hidden states in front of every layer. Raises CompressError as `open_model`, `apply` and `save` do; `out`
    appears whole or not at all.
    """
    if recipe.recovery is not None:
        raise CompressError("layer by layer: a recovery needs the whole model in memory; leave it out")
    layout = _layout(choices)
    refuse_target(out)
    source, clock = opened(Path(folder), choices.dtype), Clock()
    with evaluating(source.model):
        with clock.stage("calibrate"):
            question, facts = _question(source, recipe, choices)
            survey = surveyed(source, question, progress)
        with clock.stage("plan"):
            shape = choices.shape or survey.shape(recipe)
            result = _planned(source.model, shape)
            description_of(result, layout)
        with placed(out) as draft:
            with clock.stage("cut"):
                work = _Work(source, result, Shards(draft), _probe(source.model))
                task = Task(source.model, recipe, shape, survey.stats, question.ids)
                zeros = _rebuild(work, edit(task), shape, progress)
            write_rest(result, choices.tokenizer, draft, description_of(result, layout))
            _verify(work, draft, progress)
            receipt = receipt_of(recipe, shape, (survey.counts, ratios.count(result, zeros)), clock)
            receipt = replace(receipt, calibration=facts, score_deciles=score_deciles(survey.layers))
            (draft / RECEIPT).write_text(receipt.to_json())
    return receipt


def _layout(choices: Choices) -> Literal["auto", "uniform", "hetero"]:
    if choices.layout == "padded":
        raise CompressError("layer by layer: layout padded cannot be written; take auto, uniform or hetero")
    return choices.layout


def _question(source: Skeleton, recipe: Recipe, choices: Choices) -> tuple[Question, CalibrationFacts | None]:
    """What has to be known of all layers before the first is changed, and what was read for it."""
    method, needs = recipe.chosen(), recipe.needs
    later = recipe.compensate == "least_squares"
    if method.removes == "weights":
        # Taken when it comes to the layer, of the layer as it then is.
        needs, later = frozenset(), bool(method.needs)
    elif choices.shape is not None:
        needs = frozenset({"activations"} if recipe.compensate == "bias" else ())
    ids, facts = read(source.model, choices.tokenizer, recipe.calibration) if needs or later else (None, None)
    return Question(recipe, needs, method.removes == "width" and choices.shape is None, ids), facts


def _planned(model: PreTrainedModel, shape: Shape) -> PreTrainedModel:
    """The model that `shape` makes of this one, without any weight."""
    planned = bare(copy.deepcopy(model.config), type(model), model.dtype)
    planned.generation_config = model.generation_config
    cut_(planned, shape)
    return planned


@dataclass(frozen=True)
class _Work:
    """Where weights come from, where they go, and a few tokens that go through the new layers."""

    source: Skeleton
    result: PreTrainedModel
    """Without weights but for the layer that is worked on."""
    shards: Shards
    probe: Stream


def _probe(model: PreTrainedModel) -> Stream:
    """In front of the first layer, with 32 tokens spread over the vocabulary."""
    return entrance(model, torch.linspace(0, embedded_tokens(model) - 1, 32).long().unsqueeze(0))


def _rebuild(work: _Work, change_: Edit, shape: Shape, progress: Progress) -> list[int]:
    """Visit every layer a second time: change it, and write it if it stays. Returns the zeros in those that do."""
    source, places = work.source, iter(blocks(work.result))
    work.shards.add(source.stored.read(source.outside, source.model.dtype))
    found, zeros = source.blocks(), []
    for block in found:
        with source.loaded(block):
            change_(block)
            if not shape.layers[block.index].dropped:
                zeros.append(ratios.zeros_in(block))
                _hand_over(work, block, next(places))
        progress("compressing", block.index + 1, len(found))
    work.shards.close()
    return zeros


def _hand_over(work: _Work, block: Block, place: Block) -> None:
    """Put the weights of a finished block into its place in the result, run the probe through it, and write it."""
    for own, new in zip(block.projections, place.projections, strict=True):
        if own.module.bias is not None:
            add_bias_(new)
    place.layer.load_state_dict(block.layer.state_dict(), assign=True)
    work.probe.advance(place.layer, block.index)
    prefix = layer_prefix(work.result, place.index)
    work.shards.add({prefix + name: tensor for name, tensor in place.layer.state_dict().items()})
    empty_(place.layer)


def _verify(work: _Work, draft: Path, progress: Progress) -> None:
    """Open the folder as plain transformers would, and take the probe through its layers, one by one.

    Raises CompressError if it does not come out as it did from the layers before they were written.
    """
    source, again = work.source, opened(draft, work.source.model.dtype, _plain_class(draft))
    for name in source.outside:
        stored = (skeleton.stored.read([name], source.model.dtype)[name] for skeleton in (source, again))
        if not torch.equal(*stored):
            raise CompressError(f"{name} was not written as it was read; nothing was saved")
    with evaluating(again.model):
        stream, found = _probe(again.model), again.blocks()
        for block in found:
            with again.loaded(block):
                stream.advance(block.layer, block.index)
            progress("verifying", block.index + 1, len(found))
    expected, got = _last(work.probe), _last(stream)
    gap = float((got - expected).abs().max())
    if not gap <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise CompressError(f"opened again, its last hidden states differ by {gap:.3g}; nothing was saved")


def _plain_class(draft: Path) -> Any:
    """The class that plain transformers opens the folder with; its code is what we have just written."""
    config, kind = described(draft)
    if not (draft / MODELING).is_file():
        return kind
    reference = f"{Path(MODELING).stem}.{class_name(stock_class(config))}"
    plain = get_class_from_dynamic_module(reference, str(draft))
    # Copied to <cache>/<folder name>/<hash>/, where nobody would ever need it again.
    shutil.rmtree(Path(inspect.getfile(plain)).parents[1], ignore_errors=True)
    return plain


def _last(stream: Stream) -> Tensor:
    """(rows, tokens, hidden), float32."""
    return torch.cat(stream.hidden).float()
