"""layerwise: no gradients; the weights that stay are refitted in closed form, block after block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

    from compress.anatomy.blocks import Block, Projection
    from compress.training.job import Job, Recovered


@dataclass(frozen=True)
class Layerwise:
    """Every block's output projections are refitted so that its stream comes back to the original's.

    The least squares of `cutting.refit`, on training data instead of calibration text. A hypothesis of ours; docs say
    what it brings beside LoRA at equal CPU time.

    mlp_out is refitted in every layer, attention_out where kv groups went; where they all stay, refitting it too made
    the result worse (SmolLM2-135M). tokens: read of the training rows at most, evenly spread, so that more data than
    are read bring more kinds of text. ridge: times inputs by tokens, the pull towards the weights as they are.
    """

    tokens: Annotated[int, Field(ge=64)] = 8192
    ridge: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0

    needs: ClassVar[frozenset[str]] = frozenset()
    suits: ClassVar[frozenset[str]] = frozenset({"width", "layers"})
    apart: ClassVar[bool] = False
    merges: ClassVar[bool] = False

    def recover_(self, job: Job) -> Recovered:
        """Refit; weights are put back as they were if the held-out loss did not fall."""
        import time

        from compress.anatomy.blocks import blocks
        from compress.training.facts import Recovered
        from compress.training.losses import losses_of

        losses, held_out = losses_of(job, training=False), job.corpus.held_out
        before = losses.mean(held_out)
        kept = [projection.weight.clone() for block in blocks(job.model) for projection in _changed(block)]
        ids = spread(job.corpus.train.ids, self.tokens)
        start = time.perf_counter()
        refit_(job, ids, self.ridge)
        seconds = time.perf_counter() - start
        after = losses.mean(held_out)
        notes: tuple[str, ...] = ()
        if not after < before:
            found = (projection for block in blocks(job.model) for projection in _changed(block))
            for projection, weight in zip(found, kept, strict=True):
                projection.weight.copy_(weight)
            notes = (f"refitting took the held-out loss from {before:.4f} to {after:.4f}, so it was undone",)
            after = before
        return Recovered(
            rule="layerwise",
            ranks=(),
            before=before,
            after=after,
            seconds=seconds,
            tokens=ids.numel(),
            data=job.corpus.facts,
            notes=notes,
        )


def spread(ids: Tensor, tokens: int) -> Tensor:
    """Rows of about so many tokens, evenly spread: neighbours may be of one document. ids: (rows, tokens)."""
    import torch

    wanted = min(len(ids), max(1, tokens // ids.shape[1]))
    return ids[torch.linspace(0, len(ids) - 1, wanted).long()]


def refit_(job: Job, ids: Tensor, ridge: float) -> None:
    """Refit the job's model, layer after layer, against those of the original that they were. ids: (rows, tokens)."""
    from compress.anatomy.blocks import blocks
    from compress.anatomy.walk import entrance, evaluating
    from compress.cutting.refit import refit_block_, watched

    theirs = blocks(job.original)
    ours = dict(zip(job.kept or range(len(theirs)), blocks(job.model), strict=True))
    with evaluating(job.model), evaluating(job.original):
        original, cut = entrance(job.original, ids), entrance(job.model, ids)
        for block in theirs:
            aims = watched(block, original)
            if block.index in ours:
                mine = ours[block.index]
                refit_block_(mine, aims, cut, ridge, attention=mine.kv_heads < block.kv_heads)
            job.progress("refitting", block.index + 1, len(theirs))


def _changed(block: Block) -> tuple[Projection, Projection]:
    return block.attention_out, block.mlp_out
