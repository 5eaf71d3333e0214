"""One walk over the calibration tokens -> what `needs` names of every layer; sums only, no activation is kept."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.anatomy.blocks import Block, Projection, blocks
from compress.anatomy.walk import Loaded, Stream, entrance, evaluating, in_memory
from compress.calibration.lesions import lesions
from compress.calibration.stats import BlockStats, Inputs
from compress.calibration.taylor import taylor
from compress.costs import give_back
from compress.errors import CompressError
from compress.progress import Progress, silent


def collect(
    model: PreTrainedModel,
    ids: Tensor,
    needs: frozenset[str],
    progress: Progress = silent,
    loaded: Loaded = in_memory,
) -> tuple[BlockStats, ...]:
    """One forward pass over ids: (windows, tokens), one layer after the other; the head is left out.

    With "taylor", two forward passes and a backward pass more, with "lesions" half a pass a layer over few tokens.
    Raises CompressError on NaN, naming the layer.
    """
    found = blocks(model)
    stats = [BlockStats() for _ in found]
    if needs - {"taylor", "lesions"}:
        with evaluating(model):
            stream = entrance(model, ids)
            ends = [last_tokens(stream, needs)]
            for block in found:
                with loaded(block):
                    stats[block.index] = observed(block, stream, needs)
                ends.append(last_tokens(stream, needs))
                give_back()
                progress("calibrating", block.index + 1, len(found))
        stats = [replace(seen, spans=spans_of(ends[index:])) for index, seen in enumerate(stats)]
    if "taylor" in needs:
        changes = taylor(model, found, ids, progress, loaded)
        stats = [replace(seen, taylor=change) for seen, change in zip(stats, changes, strict=True)]
    if "lesions" in needs:
        damages = lesions(model, found, ids, progress, loaded)
        stats = [replace(seen, lesion=damage) for seen, damage in zip(stats, damages, strict=True)]
    return tuple(stats)


def observed(block: Block, stream: Stream, needs: frozenset[str]) -> BlockStats:
    """Take the stream through one layer, and say what was seen there."""
    turns = _Turns()
    with tallied(wanted(block, needs), "grams" in needs) as tallies:
        for place, output in enumerate(stream.outputs(block.layer, block.index)):
            if "angles" in needs:
                turns.add(stream.hidden[place], output)
            stream.hidden[place] = output
    inputs = {name: tally.inputs() for name, tally in tallies.items()}
    if broken := [name for name, seen in inputs.items() if not math.isfinite(float(seen.squares.sum()))]:
        raise CompressError(f"layer {block.index}: NaN or infinite activations at {broken[0]}")
    stream.check_finite(block.index)
    return replace(turns.stats(), inputs=inputs) if "angles" in needs else BlockStats(inputs=inputs)


def wanted(block: Block, needs: frozenset[str]) -> tuple[Projection, ...]:
    """The projections whose inputs these needs ask for."""
    if needs & {"inputs", "grams"}:
        return block.projections
    return (block.attention_out, block.mlp_out) if "activations" in needs else ()


@contextmanager
def tallied(projections: tuple[Projection, ...], gram: bool) -> Iterator[dict[str, Tally]]:
    """Inside, all that flows into these projections is counted, by name of the projection."""
    products = Products() if gram else None
    tallies = {projection.name: Tally(projection, products) for projection in projections}
    with ExitStack() as hooks:
        for projection in projections:
            hooks.callback(projection.module.register_forward_pre_hook(tallies[projection.name]).remove)
        yield tallies


class Tally:
    """Running sums over the tokens at the input of one projection; a forward pre-hook.

    float32 inside a batch, where torch adds pairwise, and float64 over batches: ten times as fast as float64.
    """

    def __init__(self, projection: Projection, products: Products | None) -> None:
        """products: None where no Gram matrix is wanted."""
        size, device = projection.in_features, projection.weight.device
        self.tokens = 0
        self.sums = torch.zeros(size, dtype=torch.float64, device=device)
        self.squares = torch.zeros_like(self.sums)
        self.products = products
        self.gram = torch.zeros(size, size, dtype=torch.float64, device=device) if products else None

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        x = args[0].detach().reshape(-1, args[0].shape[-1]).float()
        self.tokens += len(x)
        self.sums += x.sum(dim=0)
        if self.products is None or self.gram is None:
            self.squares += x.square().sum(dim=0)
        else:
            self.gram += self.products.of(args[0])

    def inputs(self) -> Inputs:
        """The sums so far."""
        squares = self.squares if self.gram is None else self.gram.diagonal().clone()
        return Inputs(self.tokens, self.sums, squares, self.gram)


class Products:
    """Gram matrices of one batch; projections that read the very same tensor one after the other share one."""

    def __init__(self) -> None:
        self.source: Tensor | None = None
        self.product = torch.empty(0)

    def of(self, source: Tensor) -> Tensor:
        """source: (..., in). Returns (in, in), float32."""
        if source is not self.source:
            self.source, self.product = source, gram_of(source.detach().reshape(-1, source.shape[-1]).float())
        return self.product


def gram_of(x: Tensor) -> Tensor:
    """x: (tokens, in). Returns x^T x; of what is symmetric, five eighths are computed."""
    size = x.shape[1]
    product = x.new_empty(size, size)
    ends = [size * quarter // 4 for quarter in range(5)]
    for start, end in pairwise(ends):
        product[start:end, start:] = x[:, start:end].T @ x[:, start:]
        product[end:, start:end] = product[start:end, end:].T
    return product


class _Turns:
    """Running sums of how far a layer turns the residual stream."""

    def __init__(self) -> None:
        self.angles = self.cosines = 0.0
        self.tokens = 0

    def add(self, before: Tensor, after: Tensor) -> None:
        """before, after: (rows, tokens, hidden)."""
        cosines = token_cosines(before, after)
        self.angles += float(cosines.arccos().sum()) / math.pi
        self.cosines += float(cosines.sum())
        self.tokens += cosines.numel()

    def stats(self) -> BlockStats:
        """Means so far."""
        return BlockStats(angle=self.angles / self.tokens, influence=1.0 - self.cosines / self.tokens)


def token_cosines(before: Tensor, after: Tensor) -> Tensor:
    """before, after: (..., hidden). Returns (...) cosines, row by row.

    Clamped to [-1, 1]: rounding takes them beyond, where arccos is NaN.
    """
    return torch.cosine_similarity(before.double(), after.double(), dim=-1).clamp(-1.0, 1.0)


def last_tokens(stream: Stream, needs: frozenset[str]) -> Tensor:
    """(windows, hidden) where the stream stands; no windows unless "spans" asks for them."""
    ends = torch.cat([batch[:, -1] for batch in stream.hidden])
    return ends if "spans" in needs else ends[:0].clone()


def spans_of(ends: list[Tensor]) -> tuple[float, ...]:
    """ends: (windows, hidden) in front of one layer and every later one. See `BlockStats.spans`."""
    if not len(ends[0]):
        return ()
    return tuple(float(token_cosines(ends[0], later).arccos().mean()) / math.pi for later in ends[1:])
