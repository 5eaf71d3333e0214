"""full: train all weights of the decoder layers, without adapters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

if TYPE_CHECKING:
    from compress.training.job import Job, Recovered


@dataclass(frozen=True)
class Full:
    """Every projection, and norms and biases if the recipe says so; embeddings and output layer stay as they are.

    It needs memory for four more copies of what it trains: gradients, the optimiser's two moments, and the best values.

    pace: times the recipe's learning rate, which is meant for adapters; whole weights want smaller steps.
    """

    pace: Annotated[float, Field(gt=0, le=1)] = 0.1

    needs: ClassVar[frozenset[str]] = frozenset()
    suits: ClassVar[frozenset[str]] = frozenset({"width", "layers"})
    apart: ClassVar[bool] = False
    merges: ClassVar[bool] = False

    def recover_(self, job: Job) -> Recovered:
        """Train in place; afterwards all parameters require gradients, as before."""
        from compress.anatomy.blocks import blocks
        from compress.training.lora import train_norms_
        from compress.training.train import fit_

        job.model.requires_grad_(False)
        for block in blocks(job.model):
            for projection in block.projections:
                projection.module.weight.requires_grad_(True)
        if job.recovery.norms:
            train_norms_(job)
        slower = job.recovery.model_copy(update={"learning_rate": job.recovery.learning_rate * self.pace})
        fitted = fit_(replace(job, recovery=slower), "full")
        job.model.requires_grad_(True)
        return fitted.of(job)
