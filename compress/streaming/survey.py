"""Visit all layers of a model once, one at a time: statistics and scores, of which the shape is made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from compress import ratios
from compress.anatomy.blocks import Block, check_finite
from compress.anatomy.walk import entrance
from compress.budgets import Layer
from compress.calibration.collect import last_tokens, observed, spans_of
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
    """Without Gram matrices: nothing that grows with the square of a width is kept of a layer that was left."""
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
    """Any of `stats.NEEDS` but "taylor" and "lesions"."""
    scores: bool
    """Whether a `Width` method is to score every layer."""
    ids: Tensor | None
    """(windows, tokens) to calibrate on; None where nothing is needed."""


def surveyed(source: Skeleton, question: Question, progress: Progress) -> Survey:
    """Visit every layer. Raises CompressError on weights and activations that are NaN, naming the layer."""
    found, needs = source.blocks(), question.needs
    stream = entrance(source.model, question.ids) if question.ids is not None and needs else None
    stats, layers, zeros = [], [], []
    ends = [last_tokens(stream, needs)] if stream else []
    for block in found:
        with source.loaded(block):
            seen = observed(block, stream, needs) if stream else BlockStats()
            check_finite([block])
            zeros.append(ratios.zeros_in(block))
            slim = _without_grams(seen)
            if question.scores:
                layers.append(replace(scored(block, seen, question.recipe), stats=slim))
        stats.append(slim)
        if stream:
            ends.append(last_tokens(stream, needs))
        progress("calibrating", block.index + 1, len(found))
    if stream:
        stats = [replace(seen, spans=spans_of(ends[index:])) for index, seen in enumerate(stats)]
    return Survey(found, ratios.count(source.model, zeros), tuple(stats), layers)


def _without_grams(stats: BlockStats) -> BlockStats:
    return replace(stats, inputs={name: replace(inputs, gram=None) for name, inputs in stats.inputs.items()})
