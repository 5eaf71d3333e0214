"""Make a model smaller: calibrate, score, budget, shape, cut, in that order."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress import apportion, masks, ratios
from compress.blocks import Block, blocks, check_finite
from compress.budgets import Layer
from compress.calibration import calibrate
from compress.cut import cut_
from compress.methods import Width
from compress.progress import Progress, silent
from compress.recipe import Receipt, Recipe
from compress.shape import LayerShape, Shape
from compress.stats import BlockStats, Stats


def apply(
    model: PreTrainedModel,
    recipe: Recipe,
    tokenizer: PreTrainedTokenizerBase | Tensor | None = None,
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
    if shape is None:
        with clock.stage("plan"):
            shape = plan(model, recipe, stats, progress)
    with clock.stage("cut"):
        cut_(model, shape)
    after = ratios.count(model)
    return Receipt(
        recipe=recipe,
        shape=shape,
        sparsity_by_block=ratios.by_block(before, after),
        ratios=ratios.measure(before, after),
        seconds=clock.seconds,
        peak_bytes=peak_bytes(),
        calibration=stats.facts,
        versions=versions(),
    )


def plan(model: PreTrainedModel, recipe: Recipe, stats: Stats, progress: Progress = silent) -> Shape:
    """Decide what stays of each layer; reads the model, changes nothing.

    Raises CompressError if the sparsity cannot be reached, or a weight is NaN.
    """
    found = blocks(model)
    check_finite(found)
    layers = []
    for block, seen in zip(found, stats.blocks, strict=True):
        layers.append(scored(block, seen, recipe))
        progress("choosing", block.index + 1, len(found))
    return shape_of(layers, recipe, ratios.count(model).parameters)


def scored(block: Block, stats: BlockStats, recipe: Recipe) -> Layer:
    """The recipe's scores of one layer; the only step of a plan that reads weights."""
    method: Width = recipe.chosen()
    groups = method.group_scores(block, stats, recipe.seed) if method.attention else None
    return Layer(block, stats, method.channel_scores(block, stats, recipe.seed), groups)


def shape_of(layers: Sequence[Layer], recipe: Recipe, parameters: int) -> Shape:
    """What stays of each layer, from the scores of all. parameters: of the whole model.

    Raises CompressError if the sparsity cannot be reached.
    """
    widths, groups = sizes(layers, recipe, parameters)
    kept = [_kept(layer, width, count) for layer, width, count in zip(layers, widths, groups, strict=True)]
    return Shape(layers[0].block.hidden, layers[0].block.head_dim, tuple(kept))


def sizes(layers: Sequence[Layer], recipe: Recipe, parameters: int) -> tuple[list[int], list[int]]:
    """(FFN channels, kv groups) that each layer keeps. parameters: of the whole model.

    Raises CompressError if the sparsity cannot be reached.
    """
    found = [layer.block for layer in layers]
    method: Width = recipe.chosen()
    goal = recipe.goal
    assert goal is not None, "only N:M patterns go without"
    weights = apportion.weights(found, goal, parameters, method.attention)
    target = apportion.target(found, weights, method.attention, round_to(method, found))
    if recipe.equal_layers:
        width, groups = apportion.equal(found, target)
        return [width] * len(found), [groups] * len(found)
    shares = recipe.rule().shares(layers, target)
    counts = apportion.groups(found, shares.groups, target)
    return apportion.widths(found, shares.channels, counts, target), counts


def _kept(layer: Layer, width: int, count: int) -> LayerShape:
    block, where = layer.block, f"layer {layer.block.index}"
    channels = masks.top(layer.channel_scores, width, where)
    groups = tuple(range(block.kv_heads))
    if layer.group_scores is not None:
        groups = masks.top(layer.group_scores, count, where)
    return LayerShape(channels, groups, block.channels, block.heads, block.kv_heads)


def round_to(method: Width, found: Sequence[Block]) -> int:
    """auto: 128 for large models, as in the CFSP paper; 8 for small ones, which would lose all resolution.

    On a CPU, multiples of 8 and of 16 were equally fast, and odd widths 5 to 8 % slower.
    """
    if method.round_to != "auto":
        return method.round_to
    return 128 if max(block.channels for block in found) >= 4096 else 8


@dataclass
class Clock:
    """Wall seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is done inside counts as this stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions() -> dict[str, str]:
    """What the result may depend on."""
    known = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}
    try:
        return {"secateur": importlib.metadata.version("secateur"), **known}
    except importlib.metadata.PackageNotFoundError:
        return known
