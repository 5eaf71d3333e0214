"""LoRA recovery: adapters with given ranks, trained, measured, and merged or kept apart."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from compress import adapters, drafts
from compress.adapters import Adapters, effective_rank
from compress.errors import CompressError
from compress.training.facts import LayerAdapters, Recovered
from compress.training.job import Job
from compress.training.losses import losses_of
from compress.training.precision import name_of
from compress.training.train import DivergedError, fit_, key_of

Settled = Literal["merged", "merged under the mask", "apart"]
SWITCHED_TOKENS = 256
"""About so many held-out tokens tell what each layer's adapters are worth: a pass over them for every layer."""


def trained_(job: Job, ranks: tuple[int, ...]) -> Recovered:
    """Train adapters of these ranks, one for each decoder layer, and leave the model as the recipe says."""
    found = adapters.attach_(job.model, ranks, job.recovery.seed)
    notes = train_norms_(job) if job.recovery.norms else ()
    fitted = fit_(job, "lora")
    layers = measured(job, found, ranks)
    settled, after, more = settled_(job, found, fitted.after)
    return replace(fitted.of(job), ranks=ranks, after=after, layers=layers, adapters=settled, notes=(*notes, *more))


def settled_(job: Job, found: Adapters, loss: float) -> tuple[Settled, float, tuple[str, ...]]:
    """Merge the adapters or put them into the work folder; what was done, the held-out loss then, and notes."""
    if not job.recovery.merge:
        found.save(job.work / "adapter")
        found.remove_()
        return "apart", loss, ()
    found.merge_(masked=job.masked)
    how: Settled = "merged under the mask" if job.masked else "merged"
    if not job.masked and job.model.dtype == torch.float32:
        return how, loss, ()
    after = losses_of(job, training=False).mean(job.corpus.held_out)
    precision = name_of(job.model.dtype)
    note = f"adapters were {how} in {precision}, which took the held-out loss from {loss:.4f} to {after:.4f}"
    return how, after, (note,)


def trial(job: Job, ranks: tuple[int, ...], seed: int, steps: int) -> float:
    """Held-out loss after a short training of its own; the model is afterwards as it was.

    Of one that diverges, the lowest before. Kept in the work folder, so that a killed search goes on where it stopped.
    """
    rows = job.corpus.train.between(0, steps * job.recovery.batch)
    recovery = job.recovery.model_copy(update={"seed": seed, "epochs": 1, "evaluate_every": steps})
    short = replace(job, recovery=recovery, corpus=replace(job.corpus, train=rows))
    name = hashlib.sha256(repr((ranks, steps, key_of(short, "trial", (0.0, 1.0)))).encode()).hexdigest()[:12]
    path = job.work / f"trial-{name}.json"
    if path.exists():
        return _kept(path)
    found = adapters.attach_(job.model, ranks, seed)
    try:
        loss = fit_(short, f"trial-{name}").after
    except DivergedError as error:
        loss = error.best
    finally:
        found.remove_()
    try:
        with drafts.whole(path) as draft:
            draft.write_text(json.dumps({"ranks": ranks, "seed": seed, "steps": steps, "held_out": loss}) + "\n")
    except OSError as error:
        raise CompressError(f"{path}: cannot keep what a trial came to: {error.strerror or error}") from None
    (job.work / f"trial-{name}.safetensors").unlink(missing_ok=True)
    return loss


def _kept(path: Path) -> float:
    try:
        return float(json.loads(path.read_text())["held_out"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CompressError(f"{path}: not what a trial came to: {error}; remove it to start again") from None


def measured(job: Job, found: Adapters, ranks: tuple[int, ...]) -> tuple[LayerAdapters, ...]:
    """Where recovery happened: norm, effective rank, and the held-out loss without each layer's adapters."""
    losses, rows = losses_of(job, training=False), job.corpus.held_out
    some = max(1, SWITCHED_TOKENS // rows.ids.shape[1])
    whole = losses.mean(rows, some)
    result = []
    for layer, rank in enumerate(ranks):
        mine = [adapter for adapter in found.all if adapter.layer == layer]
        values = [adapter.singular_values() for adapter in mine]
        changed = math.sqrt(sum(float(some.square().sum()) for some in values))
        weights = math.sqrt(sum(float(adapter.weight.float().square().sum()) for adapter in mine))
        with found.without(layer):
            without = losses.mean(rows, some) - whole
        mean_rank = sum(effective_rank(some) for some in values) / len(values)
        result.append(LayerAdapters(layer, rank, changed / weights, mean_rank, without))
        job.progress("switching adapters off", layer + 1, len(ranks))
    return tuple(result)


def train_norms_(job: Job) -> tuple[str, ...]:
    """Let norm weights and biases be trained too, everything that is a vector, in float32; notes on what is not."""
    vectors = [value for value in job.model.parameters() if value.ndim == 1]
    for value in vectors:
        value.requires_grad_(value.dtype == torch.float32)
    rounded = {name_of(value.dtype) for value in vectors} - {"float32"}
    return tuple(f"norms and biases stayed as they were: {name} rounds small steps away" for name in sorted(rounded))
