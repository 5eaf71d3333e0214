"""importance: LoRA ranks by how much a decoder layer does, after CFSP's importance-guided recovery (arXiv 2409.13199).

The paper says that trainable capacity follows the coarse importance; its formula, base rank and settings are not known
and no code is released. What is here is a reconstruction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

if TYPE_CHECKING:
    from compress.training.job import Job, Recovered


STEEPNESS = 13.1072
"""As in CFSP's coarse allocation of sparsity."""
MOST = 4
"""A layer's rank is at most so many times the mean."""


@dataclass(frozen=True)
class Importance:
    """Ranks follow the sigmoid of the mean angle by which a layer turns the residual stream.

    Uniform ranks are always trained as well, at equal cost, with the same seeds and for as many steps; they are used
    unless importance is shown to be better.

    direction: important gives those layers more, inverse gives them less.
    """

    direction: Literal["important", "inverse"] = "important"
    seeds: Annotated[int, Field(ge=3, le=20)] = 3
    trial_steps: Annotated[int, Field(ge=1)] = 16

    suits: ClassVar[frozenset[str]] = frozenset({"width", "weights", "layers"})
    apart: ClassVar[bool] = False
    merges: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"angles"})

    def recover_(self, job: Job) -> Recovered:
        """Compare both allocations in short trainings, then train the one that is to be used."""
        from compress.training.contest import contest
        from compress.training.facts import Trial
        from compress.training.lora import trained_, trial

        angles = [block.number("angle") for block in job.stats.blocks]
        ranks = allocation(angles, job.recovery.rank, self.direction)
        seeds = range(job.recovery.seed, job.recovery.seed + self.seeds)
        trials = [
            Trial(one, seed, trial(job, one, seed, self.trial_steps)) for one in (job.uniform, ranks) for seed in seeds
        ]
        scores = [done.score for done in trials]
        found = contest(scores[: self.seeds], scores[self.seeds :])
        recovered = trained_(job, ranks if found.decision == "better" else job.uniform)
        return replace(recovered, contest=found, trials=tuple(trials))


def allocation(angles: Sequence[float], rank: int, direction: Literal["important", "inverse"]) -> tuple[int, ...]:
    """Ranks between 1 and MOST * rank that sum to that of uniform ones; the largest remainders are rounded up.

    angles: mean angle between a layer's input and output, in units of pi.
    """
    sign = 1.0 if direction == "important" else -1.0
    mean = math.fsum(angles) / len(angles)
    weights = [1.0 / (1.0 + math.exp(-sign * STEEPNESS * (angle - mean))) for angle in angles]
    total = rank * len(angles)
    shares = [total * weight / math.fsum(weights) for weight in weights]
    ranks = [min(MOST * rank, max(1, math.floor(share))) for share in shares]
    order = sorted(range(len(shares)), key=lambda layer: (math.floor(shares[layer]) - shares[layer], layer))
    while sum(ranks) != total:
        step = 1 if sum(ranks) < total else -1
        for layer in order if step > 0 else reversed(order):
            if sum(ranks) != total and 1 <= ranks[layer] + step <= MOST * rank:
                ranks[layer] += step
    return tuple(ranks)
