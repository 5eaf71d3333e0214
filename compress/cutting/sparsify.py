"""Zero single weights of one layer, on what stands in front of it, or by what a calibration saw there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from compress.anatomy.blocks import Block, Projection
from compress.anatomy.walk import Stream, ran
from compress.calibration.collect import Products, Tally, tallied
from compress.calibration.stats import Inputs
from compress.errors import CompressError
from compress.methods import Site, Sparse
from compress.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """What to do in every layer."""

    method: Sparse
    blocks: int
    """Decoder layers of the model."""
    sparsity: float
    """Share to zero of the projections that the method touches."""
    seed: int

    @property
    def grams(self) -> bool:
        """Whether the method reads Gram matrices."""
        return "grams" in self.method.needs

    def projections(self, block: Block) -> tuple[Projection, ...]:
        """Those that the method touches."""
        if self.method.modules == "all":
            return block.projections
        parts = block.channel_parts if self.method.modules == "mlp" else block.group_parts
        return tuple({part.projection.name: part.projection for part in parts}.values())


def prepared(found: Sequence[Block], recipe: Recipe) -> Job:
    """The job of a recipe; reads sizes only. Raises CompressError where pattern or sparsity do not fit the model."""
    method: Sparse = recipe.chosen()
    job = Job(method, len(found), 0.0, recipe.seed)
    touched = [projection for block in found for projection in job.projections(block)]
    for block in found:
        _check_pattern(block, job)
    if recipe.goal is None:
        return job
    share = sum(projection.weight.numel() for projection in touched) / sum(block.weights for block in found)
    if recipe.goal.value > share:
        where = f"modules: {method.modules} has {share:.4g} of the weights"
        raise CompressError(f"sparsity {recipe.goal.value:g} cannot be reached: {where}")
    return replace(job, sparsity=recipe.goal.value / share)


def _check_pattern(block: Block, job: Job) -> None:
    pattern = job.method.kept(block.index, job.blocks)
    for projection in job.projections(block):
        if pattern and projection.in_features % pattern[1]:
            raise CompressError(
                f"layer {block.index}: {projection.name} has {projection.in_features} inputs, "
                f"no multiple of the {pattern[1]} of pattern {pattern[0]}:{pattern[1]}"
            )


def windows(job: Job, ids: Tensor) -> int | None:
    """How many windows `entrance` has to take at once; None: as few as it likes."""
    return len(ids) if job.method.sequential == "projection" else None


def sparsify_block_(block: Block, stream: Stream, job: Job) -> None:
    """Make one layer sparse on what stands in front of it, and take the stream through it.

    Raises CompressError if its activations are NaN or infinite.
    """
    if job.method.sequential == "projection":
        with _replacing_(block, job):
            stream.advance(block.layer, block.index)
        return
    replace_(block, job, gathered(block, stream, job))
    stream.advance(block.layer, block.index)


def replace_(block: Block, job: Job, inputs: Mapping[str, Inputs]) -> None:
    """Write the new weights of one layer. inputs: by name of the projection."""
    for projection in job.projections(block):
        seen = inputs.get(projection.name) if job.method.needs else None
        _replace_projection_(block, projection, job, seen)


def _replace_projection_(block: Block, projection: Projection, job: Job, inputs: Inputs | None) -> None:
    if inputs is not None and not math.isfinite(float(inputs.squares.sum())):
        where = f"layer {block.index}: {projection.name}"
        raise CompressError(f"{where}: NaN or infinite activations; weights before it are changed already")
    site = Site(block.index, job.blocks, projection, job.sparsity, job.seed)
    projection.weight.copy_(job.method.sparse(site, inputs))


class _SeenError(Exception):
    """All inputs of a layer were seen, so the rest of its work can be left out."""


def gathered(block: Block, stream: Stream, job: Job) -> dict[str, Inputs]:
    """What the layer's projections are given, by name; the stream stays where it is."""
    projections = job.projections(block)
    with tallied(projections, job.grams) as tallies, ExitStack() as hooks:

        def leave(module: nn.Module, args: tuple[Any, ...]) -> None:
            if len({tally.tokens for tally in tallies.values()}) == 1:
                raise _SeenError

        for projection in projections:
            hooks.callback(projection.module.register_forward_pre_hook(leave).remove)
        for batch, calls in zip(stream.hidden, stream.calls, strict=True):
            with suppress(_SeenError):
                ran(block.layer, batch, calls[block.index])
    return {name: tally.inputs() for name, tally in tallies.items()}


@contextmanager
def _replacing_(block: Block, job: Job) -> Iterator[None]:
    """Inside, a projection becomes sparse the moment its inputs arrive, which have to come all at once."""
    products = Products()

    def arrived(projection: Projection, args: tuple[Any, ...]) -> None:
        tally = Tally(projection, products if job.grams else None)
        tally(projection.module, args)
        _replace_projection_(block, projection, job, tally.inputs())

    with ExitStack() as hooks:
        for projection in job.projections(block):

            def hook(module: nn.Module, args: tuple[Any, ...], projection: Projection = projection) -> None:
                arrived(projection, args)

            hooks.callback(projection.module.register_forward_pre_hook(hook).remove)
        yield
