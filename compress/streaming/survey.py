"""Visit all layers of a model, one at a time: statistics and scores, of which the shape is made."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from compress import ratios
from compress.anatomy.blocks import Block, check_finite, check_outside
from compress.budgets import Layer
from compress.calibration.collect import collect
from compress.calibration.stats import BlockStats, Stats
from compress.planning.plan import scored, shape_of, whole, without_layers
from compress.progress import Progress
from compress.recipe import Recipe
from compress.shape import Shape
from compress.streaming.skeleton import Skeleton


@dataclass(frozen=True)
class Survey:
    """What is known of a model whose layers were all visited."""

    blocks: list[Block]
    """Without weights."""
    counts: ratios.Counts
    stats: tuple[BlockStats, ...]
    layers: list[Layer]
    """With the scores of a `Width` method; empty where none were asked for."""

    def shape(self, recipe: Recipe) -> Shape:
        """What stays. Raises CompressError if the sparsity cannot be reached."""
        removes = recipe.chosen().removes
        if removes == "weights":
            return whole(self.blocks)
        if removes == "layers":
            return without_layers(self.blocks, recipe, Stats(self.stats), self.counts.parameters)
        return shape_of(self.layers, recipe, self.counts.parameters)


@dataclass(frozen=True)
class Question:
    """What to find out."""

    recipe: Recipe
    needs: frozenset[str]
    """Any of `stats.NEEDS`."""
    scores: bool
    """Whether a `Width` method is to score every layer."""
    ids: Tensor | None
    """(windows, tokens) to calibrate on; None where nothing is needed."""


def surveyed(source: Skeleton, question: Question, progress: Progress) -> Survey:
    """Visit every layer. Raises CompressError on weights and activations that are NaN, naming the layer."""
    check_outside(source.model)
    found = source.blocks()
    stats = tuple(BlockStats() for _ in found)
    if question.ids is not None and question.needs:
        stats = collect(source.model, question.ids, question.needs, progress, source.loaded)
    layers, zeros = [], []
    for block, seen in zip(found, stats, strict=True):
        with source.loaded(block):
            check_finite([block])
            zeros.append(ratios.zeros_in(block))
            if question.scores:
                layers.append(scored(block, seen, question.recipe))
        progress("choosing", block.index + 1, len(found))
    return Survey(found, ratios.count(source.model, zeros), stats, layers)
