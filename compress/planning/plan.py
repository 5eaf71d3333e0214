"""Decide what stays of a model, before a weight is touched: score, budget, shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from compress import ratios
from compress.anatomy.blocks import Block, blocks, check_finite, check_outside
from compress.budgets import Layer
from compress.calibration.stats import BlockStats, Stats
from compress.checkpoints.modelling import check_groups
from compress.costs import give_back
from compress.errors import CompressError
from compress.methods import Depth, Width
from compress.planning import apportion, masks
from compress.planning.nearest import Sizes, nearest
from compress.progress import Progress, silent
from compress.recipe import Recipe, Target
from compress.shape import LayerShape, Shape

Deciles = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Planned:
    """What stays, and the scores that decided it."""

    shape: Shape
    deciles: Deciles = ()
    """`score_deciles`; empty where no channel was scored."""


def plan(model: PreTrainedModel, recipe: Recipe, stats: Stats, progress: Progress = silent) -> Shape:
    """The shape of `planned`."""
    return planned(model, recipe, stats, progress).shape


def planned(model: PreTrainedModel, recipe: Recipe, stats: Stats, progress: Progress = silent) -> Planned:
    """Decide what stays of each layer; reads the model, changes nothing.

    Raises CompressError if the sparsity cannot be reached, or a weight is NaN.
    """
    check_outside(model)
    found = blocks(model)
    removes = recipe.chosen().removes
    if removes != "width":
        check_finite(found)
    if removes == "weights":
        return Planned(whole(found))
    if removes == "layers":
        return Planned(without_layers(found, recipe, stats, ratios.parameters(model)))
    layers = scores(model, recipe, stats, progress)
    return Planned(shape_of(layers, recipe, ratios.parameters(model)), score_deciles(layers))


def scores(model: PreTrainedModel, recipe: Recipe, stats: Stats, progress: Progress = silent) -> list[Layer]:
    """Every layer with the scores of a `Width` method, which do not depend on the recipe's target.

    `shape_of` makes a shape of them for any target. Raises CompressError if a weight is NaN.
    """
    found = blocks(model)
    check_finite(found)
    if recipe.chosen().attention:
        check_groups(model)
    layers = []
    for block, seen in zip(found, stats.blocks, strict=True):
        layers.append(scored(block, seen, recipe))
        give_back()
        progress("choosing", block.index + 1, len(found))
    return layers


def scored(block: Block, stats: BlockStats, recipe: Recipe) -> Layer:
    """The recipe's scores of one layer; the only step of a plan that reads weights."""
    method: Width = recipe.chosen()
    groups = method.group_scores(block, stats, recipe.seed) if method.attention else None
    return Layer(block, stats, method.channel_scores(block, stats, recipe.seed), groups)


def score_deciles(layers: Sequence[Layer]) -> Deciles:
    """For each layer the scores that 0, 10, ..., 100 % of its FFN channels do not exceed."""
    shares = torch.linspace(0, 1, 11, dtype=torch.float64)
    return tuple(tuple(layer.channel_scores.double().cpu().quantile(shares).tolist()) for layer in layers)


def shape_of(layers: Sequence[Layer], recipe: Recipe, parameters: int) -> Shape:
    """What stays of each layer, from the scores of all. parameters: of the whole model.

    Raises CompressError if the sparsity cannot be reached.
    """
    widths, groups = sizes(layers, recipe, parameters)
    kept = [_kept(layer, width, count) for layer, width, count in zip(layers, widths, groups, strict=True)]
    return Shape(layers[0].block.hidden, layers[0].block.head_dim, tuple(kept))


def sizes(layers: Sequence[Layer], recipe: Recipe, parameters: int) -> Sizes:
    """(FFN channels, kv groups) that each layer keeps. parameters: of the whole model.

    Raises CompressError if the target cannot be reached.
    """
    found = [layer.block for layer in layers]
    method: Width = recipe.chosen()
    rule, unit = recipe.rule(), round_to(method, found)

    def by(target: apportion.Target) -> Sizes:
        if recipe.equal_layers:
            width, groups = apportion.equal(found, target)
            return [width] * len(found), [groups] * len(found)
        shares = rule.shares(layers, target)
        counts = apportion.groups(found, shares.groups, target)
        return apportion.widths(found, shares.channels, counts, target), counts

    weights = apportion.weights(found, _goal(recipe), parameters, method.attention)
    if weights is None:
        return nearest(found, _goal(recipe), unit, by)
    return by(apportion.target(found, weights, method.attention, unit))


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


def whole(found: Sequence[Block]) -> Shape:
    """Everything stays."""
    kept = [
        LayerShape(tuple(range(b.channels)), tuple(range(b.kv_heads)), b.channels, b.heads, b.kv_heads) for b in found
    ]
    return Shape(found[0].hidden, found[0].head_dim, tuple(kept))


def without_layers(found: Sequence[Block], recipe: Recipe, stats: Stats, parameters: int) -> Shape:
    """What a `Depth` method leaves: as many whole layers go as come nearest to the target.

    parameters: of the whole model. Raises CompressError if that is none, or all.
    """
    method: Depth = recipe.chosen()
    weights = apportion.weights(found, _goal(recipe), parameters, False)
    assert weights is not None, "these methods leave no kv groups to count"
    by_channels = _goal(recipe).ratio == "r_ffn"
    each = sum(b.channels * b.channel_weights if by_channels else b.weights for b in found) / len(found)
    count = round(weights / each)
    if not 1 <= count < len(found):
        raise CompressError(
            f"{recipe.method} removes whole layers of {1 / len(found):.3g} of the decoder-layer weights each: "
            f"the target comes to {weights / each:.2g} of {len(found)} layers, and 1 to {len(found) - 1} can go"
        )
    gone = set(method.removed(stats, count))
    everything = whole(found)
    layers = [
        LayerShape((), (), layer.intermediate, layer.heads, layer.kv_heads) if index in gone else layer
        for index, layer in enumerate(everything.layers)
    ]
    return Shape(everything.hidden, everything.head_dim, tuple(layers))


def _goal(recipe: Recipe) -> Target:
    goal = recipe.goal
    assert goal is not None, "only N:M patterns go without"
    return goal
