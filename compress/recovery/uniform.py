"""uniform: LoRA with the same rank in every decoder layer; the measure of all other allocations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from compress.training.job import Job, Recovered


@dataclass(frozen=True)
class Uniform:
    """The recipe's rank everywhere."""

    suits: ClassVar[frozenset[str]] = frozenset({"width", "weights", "layers"})
    apart: ClassVar[bool] = False
    merges: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset()

    def recover_(self, job: Job) -> Recovered:
        """Train adapters, and leave the model as the recipe says."""
        from compress.training.lora import trained_

        return trained_(job, job.uniform)
