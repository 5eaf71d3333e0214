"""Grouped: quantise the pruned model group by group, and train low-rank updates that its zero points can hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Collection

    from compress.training.job import Job, Recovered
    from compress.training.quantised import Grid


@dataclass(frozen=True)
class Grouped:
    """SAAP's third stage (arXiv 2412.15127), reconstructed after QA-LoRA (arXiv 2309.14717); see `training.quantised`.

    bits: of every weight. group: input columns that share a scale and a zero point. Both are ours: the paper's are not
    known.
    """

    bits: Literal[8, 4] = 8
    group: Annotated[int, Field(ge=2)] = 64

    suits: ClassVar[frozenset[str]] = frozenset({"width", "layers"})
    apart: ClassVar[bool] = False
    merges: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def recover_(self, job: Job) -> Recovered:
        """Quantise, train towards the recipe's objective, and fold the updates into the weights.

        Raises CompressError as `refuse` and `check_finite` do, with the model untouched, and as `fit_` does.
        """
        from compress.anatomy.blocks import blocks, check_finite
        from compress.training.lora import train_norms_
        from compress.training.losses import losses_of
        from compress.training.precision import name_of
        from compress.training.quantised import fold_, quantise_
        from compress.training.train import fit_

        refuse(job)
        found = blocks(job.model)
        check_finite(found)
        wanted = [(value, value.requires_grad) for value in job.model.parameters()]
        losses, held_out = losses_of(job, training=False), job.corpus.held_out
        dense = losses.mean(held_out)
        quantise_(job.model, (self.bits, self.group), job.recovery.rank, job.recovery.seed)
        left = train_norms_(job) if job.recovery.norms else ()
        fitted = fit_(job, "grouped")
        grids = fold_(job.model)
        for value, trained in wanted:
            value.requires_grad_(trained)
        # In half precision, rounding takes a part of the updates away.
        after = losses.mean(held_out)
        precision = name_of(job.model.dtype)
        return replace(
            fitted.of(job),
            ranks=(job.recovery.rank,) * len(found),
            before=dense,
            after=after,
            notes=(
                f"{self.bits}-bit weights in groups of {self.group}: {bits_a_weight(grids.values()):.4g} bits a weight "
                "of the decoder layers' projections, with a scale and a zero point in float32 for every group",
                f"held-out loss: {dense:.4f} pruned, {fitted.before:.4f} quantised, {after:.4f} recovered",
                f"the weights lie on that grid, but are saved rounded to {precision}: the folder is no smaller for it",
                *left,
            ),
        )


def bits_a_weight(grids: Collection[Grid]) -> float:
    """Mean over all weights of these grids."""
    return sum(grid.stored_bits for grid in grids) / sum(grid.codes.numel() for grid in grids)


def refuse(job: Job) -> None:
    """Raise CompressError for what this rule cannot keep: few grids have a 0, and updates move whole groups."""
    from compress.errors import CompressError

    if job.masked:
        raise CompressError(
            "recovery rule 'grouped' would fill the weights that were set to zero; "
            "use it after methods that remove channels, kv groups or layers"
        )
