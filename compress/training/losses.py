"""The objective of a recipe on rows of data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.anatomy.families import decoder_layers
from compress.anatomy.head import Head, head_of, last_hidden
from compress.anatomy.walk import evaluating
from compress.errors import CompressError
from compress.training.digests import rows_digest, weights_digest
from compress.training.job import Job
from compress.training.objectives import Aim, Mixture, token_loss
from compress.training.precision import autocast, name_of, precision_of
from compress.training.rows import Rows
from compress.training.teacher import Taught, before_counted, taught

ROWS = 4
"""Held-out rows of one forward pass."""


@dataclass(frozen=True)
class Losses:
    """Sums and means of the objective."""

    model: PreTrainedModel
    original: PreTrainedModel
    head: Head
    teacher: Head | None
    """None: next-token loss alone."""
    taught: dict[int, Taught]
    """By the identity of the rows."""
    mixture: Mixture
    matching: float
    """Weight of the residual stream's error."""
    precision: torch.dtype

    def sum(self, rows: Rows, chosen: Tensor) -> Tensor:
        """Sum over the tokens that count in the chosen rows; differentiable."""
        device = self.model.device
        ids, positions, counted = (part[chosen].to(device) for part in (rows.ids, rows.positions, rows.counted))
        with autocast(device, self.precision), residuals(self.model, self.matching > 0) as ours:
            hidden = before_counted(last_hidden(self.model, ids, positions), counted)
        aim = Aim(ids[:, 1:][counted[:, 1:]], self._hidden(rows, chosen), self.teacher)
        total = token_loss(hidden, self.head, aim, self.mixture)
        if self.matching:
            with torch.no_grad(), autocast(device, self.precision), residuals(self.original, True) as theirs:
                last_hidden(self.original, ids, positions)
            total = total + self.matching * len(hidden) * matched(ours, theirs)
        return total

    def mean(self, rows: Rows, first: int | None = None) -> float:
        """A token, over all rows or the first few."""
        wanted = torch.arange(len(rows))[:first]
        with evaluating(self.model):
            total = math.fsum(float(self.sum(rows, chosen)) for chosen in torch.split(wanted, ROWS))
        return total / max(1, int(rows.counted[wanted, 1:].sum()))

    def _hidden(self, rows: Rows, chosen: Tensor) -> Tensor | None:
        if self.teacher is None:
            return None
        return self.taught[id(rows)].of(chosen).to(self.model.device)


def losses_of(job: Job, training: bool = True) -> Losses:
    """The job's objective; asks the original about all rows if it distils and was not asked before.

    training: False where only the held-out loss is wanted, so that the original need not read the training rows.
    """
    recovery, corpus = job.recovery, job.corpus
    distilling = recovery.objective == "distill"
    found: dict[int, Taught] = {}
    precision = precision_of(recovery, job.model.device)
    if distilling:
        teacher = weights_digest(job.original)[:12]
        for name, rows in (("train", corpus.train), ("held-out", corpus.held_out))[0 if training else 1 :]:
            key = f"{teacher}-{name}-{rows_digest(rows)[:12]}-{name_of(precision)}"
            found[id(rows)] = taught(job.original, rows, job.work / f"teacher-{key}.npy", job.progress, precision)
    student = head_of(job.model)
    return Losses(
        model=job.model,
        original=job.original,
        head=student.lowered(precision),
        teacher=_teacher(job, student).lowered(precision) if distilling else None,
        taught=found,
        mixture=Mixture(recovery.next_token if distilling else 1.0, recovery.temperature),
        matching=recovery.hidden,
        precision=precision,
    )


def _teacher(job: Job, student: Head) -> Head:
    """The original's output layer. Raises CompressError if it speaks of other tokens than the student's."""
    head = head_of(job.original)
    ours = student.weight.shape[0]
    if head.weight.shape[0] != ours:
        raise CompressError(
            f"distillation: the original knows {head.weight.shape[0]} tokens, the pruned model {ours}; "
            "they need the same vocabulary, or objective: next_token"
        )
    return head


@contextmanager
def residuals(model: PreTrainedModel, wanted: bool) -> Iterator[list[Tensor]]:
    """Inside, the residual stream behind every decoder layer is kept: (rows, tokens, hidden) each."""
    found: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    handles = [layer.register_forward_hook(keep) for layer in decoder_layers(model)] if wanted else []
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def matched(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """Mean over the layers of ||ours - theirs||^2 / ||theirs||^2."""
    if len(ours) != len(theirs):
        raise CompressError(
            f"hidden-state matching: the pruned model has {len(ours)} layers, the original {len(theirs)}; "
            "leave 'hidden' out where layers were dropped"
        )
    errors = [
        (a.float() - b.float()).square().sum() / b.float().square().sum() for a, b in zip(ours, theirs, strict=True)
    ]
    return torch.stack(errors).mean()
