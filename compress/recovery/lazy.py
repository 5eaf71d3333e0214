"""Lazy: train what is left of a sparse model's weights, and near the end low-rank adapters beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from torch import Tensor

    from compress.training.job import Job, Recovered
    from compress.training.masked import MaskedLinear
    from compress.training.train import Fitted

LEAST_STEPS = 10
"""With adapters, where there are twice as many steps; adapters need some to grow from zero."""


@dataclass(frozen=True)
class Lazy:
    """SLoPe's masked training and lazy low-rank adapters (arXiv 2405.16325), for weights that were zeroed before.

    share: of the steps, the last ones, with adapters; the paper's is 0.01. freeze: the sparse weights stay as they are
    once there are adapters. double_pruned: gradients of the inputs go through W^{R,C}, the weight pruned along its
    columns too, as the paper's kernels want it; else through the weight as it is, which is exact and no slower here.
    refresh: steps between two choices of those columns; an interrupted training chooses again when it goes on.

    Projections without zeros are not trained. Adapters are never merged, whatever `merge` says: that would fill the
    zeros. A reconstruction, in that the paper pre-trains; and the optimiser's moments start again with the adapters.
    """

    share: Annotated[float, Field(ge=0.01, le=1)] = 0.1
    freeze: bool = False
    double_pruned: bool = False
    refresh: Annotated[int, Field(ge=1)] = 1

    suits: ClassVar[frozenset[str]] = frozenset({"weights"})
    apart: ClassVar[bool] = True
    merges: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    def recover_(self, job: Job) -> Recovered:
        """Train, and leave plain sparse projections, with the adapters in the work folder.

        Raises CompressError if no weights are zero.
        """
        from compress.adapters import attached
        from compress.anatomy.blocks import blocks
        from compress.training.lora import measured
        from compress.training.losses import losses_of

        trained = self.train_(job)
        projections = [len(block.projections) for block in blocks(job.model)]
        ranks = (job.recovery.rank,) * len(projections)
        adapters = attached(job.model, trained.factors)
        layers = measured(job, adapters, ranks)
        after = losses_of(job, training=False).mean(job.corpus.held_out)
        adapters.save(job.work / "adapter")
        adapters.remove_()
        return replace(
            trained.whole.of(job),
            ranks=ranks,
            after=after,
            layers=layers,
            adapters="apart",
            notes=(
                f"held-out loss {trained.first.after:.4f} with masked weights alone, {after:.4f} with adapters",
                f"{len(trained.factors)} of {sum(projections)} projections have zeros and were trained; "
                "the zeros stayed, and merged adapters would fill them",
            ),
        )

    def train_(self, job: Job) -> Trained:
        """Train; afterwards the model's projections are plain modules with their zeros again."""
        from compress.training.masked import masked_, unmasked_
        from compress.training.schedule import steps
        from compress.training.train import fit_

        found = masked_(job.model, self.double_pruned)
        modules = found.values()
        choose_(job, modules)
        switch = self.switch(steps(job.recovery, len(job.corpus.train)))
        first = fit_(job, "lazy-masked", part=(0.0, switch), after_step=self.renewal(modules))
        adapt_(job, modules, self.freeze)
        second = fit_(job, "lazy-adapters", part=(switch, 1.0), after_step=self.renewal(modules))
        factors = {path: module.factors() for path, module in found.items()}
        unmasked_(job.model, found)
        return Trained(first, second, factors)

    def switch(self, steps: int) -> float:
        """The share of the steps that goes without adapters."""
        least = min(LEAST_STEPS, steps // 2) / steps
        return 1.0 - max(self.share, least)

    def renewal(self, modules: Collection[MaskedLinear]) -> Callable[[], None]:
        """To be called after every step: every `refresh` of them, W^{R,C} is chosen again; it is now, too."""
        done = -1

        def after_step() -> None:
            nonlocal done
            done += 1
            if done % self.refresh == 0:
                for module in modules:
                    module.both = None

        after_step()
        return after_step


@dataclass(frozen=True)
class Trained:
    """Both parts of a training, and what the second one added."""

    first: Fitted
    """Masked weights alone."""
    second: Fitted
    """With adapters."""
    factors: Mapping[str, tuple[Tensor, Tensor]]
    """By path of the projection: A, (r, in), and B, (out, r); the update of the weight is B A."""

    @property
    def whole(self) -> Fitted:
        """Both, one after the other; the second begins where the last point of the first is."""
        first, second = self.first, self.second
        later = (replace(point, tokens=point.tokens + first.tokens) for point in second.points[1:])
        return replace(
            second,
            points=(*first.points, *later),
            before=first.before,
            tokens=first.tokens + second.tokens,
            seconds=first.seconds + second.seconds,
        )


def choose_(job: Job, modules: Collection[MaskedLinear]) -> None:
    """Train the masked weights, and if the recipe says so norms and biases, and nothing else."""
    from compress.training.lora import train_norms_

    job.model.requires_grad_(False)
    for module in modules:
        module.weight.requires_grad_(True)
    if job.recovery.norms:
        train_norms_(job)


def adapt_(job: Job, modules: Collection[MaskedLinear], freeze: bool) -> None:
    """Add adapters that change nothing yet."""
    import torch

    generator = torch.Generator().manual_seed(job.recovery.seed)
    for module in modules:
        module.adapt_(job.recovery.rank, generator)
        module.weight.requires_grad_(not freeze)
