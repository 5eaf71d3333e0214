"""The training loop: every parameter that requires a gradient, towards the recipe's objective."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from compress.errors import CompressError
from compress.training.digests import rows_digest, weights_digest
from compress.training.facts import Point, Recovered
from compress.training.job import Job
from compress.training.losses import losses_of
from compress.training.precision import lowered, name_of
from compress.training.schedule import batch_of, rate, steps
from compress.training.state import State, load_state, packed, save_state, unpack_


class DivergedError(CompressError):
    """A loss became NaN or infinite."""

    def __init__(self, message: str, best: float) -> None:
        """best: lowest held-out loss before."""
        super().__init__(message)
        self.best = best


@dataclass(frozen=True)
class Fitted:
    """What one training came to."""

    points: tuple[Point, ...]
    before: float
    """Held-out loss at its start; of the objective, in nats a token."""
    after: float
    """At its best, whose values are in place."""
    tokens: int
    seconds: float
    precision: str
    """Of its forward and backward passes."""

    def of(self, job: Job) -> Recovered:
        """What the recovery of this job did, as far as the training alone tells it."""
        return Recovered(
            rule=job.recovery.rule,
            ranks=(),
            before=self.before,
            after=self.after,
            points=self.points,
            seconds=self.seconds,
            tokens=self.tokens,
            precision=self.precision,
            data=job.corpus.facts,
        )


def fit_(
    job: Job, name: str, *, part: tuple[float, float] = (0.0, 1.0), after_step: Callable[[], None] | None = None
) -> Fitted:
    """Train every parameter of the job's model that requires a gradient; the best held-out values stay.

    name: of the state in the job's work folder; killed, the same call goes on from there and ends with the same bits.
    part: which part of the recipe's steps this is, with the rows and learning rates that are there. after_step: called
    after every step of the optimiser. Raises CompressError on NaN, a full disk, or a state of another training.
    """
    training = _Training(job, name, part, after_step)
    with checkpointing(job.model, job.recovery.checkpointing), lowered(job.model, training.losses.precision):
        return training.run()


class _Training:
    """One call of `fit_`."""

    def __init__(self, job: Job, name: str, part: tuple[float, float], after_step: Callable[[], None] | None) -> None:
        self.job, self.after_step = job, after_step
        self.recovery = job.recovery
        self.values = [value for value in job.model.parameters() if value.requires_grad]
        if not self.values:
            raise CompressError("nothing to train: no parameter of the model requires a gradient")
        refuse_rounding(self.values)
        self.losses = losses_of(job)
        total = steps(self.recovery, len(job.corpus.train))
        self.total = total
        self.first, self.last = (round(share * total) for share in part)
        self.path = job.work / f"{name}.safetensors"
        self.key = key_of(job, name, part)
        self.optimizer = torch.optim.AdamW(
            self.values, lr=self.recovery.learning_rate, weight_decay=self.recovery.weight_decay, foreach=False
        )
        self.state = State(step=self.first)
        self.best = [value.detach().clone() for value in self.values]

    def run(self) -> Fitted:
        """From the saved state, or from the start, to the end."""
        start = time.perf_counter()
        saved = load_state(self.path, self.key)
        if saved is None:
            self._measure()
        else:
            self.state, tensors = saved
            self.best = unpack_(tensors, self.state.step - self.first, self.values, self.optimizer)
        before = self.state.seconds
        while self.state.step < self.last and not self._patience_lost():
            self._step()
            self.state.seconds = before + time.perf_counter() - start
            if self._due(self.recovery.evaluate_every):
                self._measure()
            if self._due(self.recovery.save_every):
                save_state(self.path, self.key, self.state, packed(self.values, self.best, self.optimizer))
        with torch.no_grad():
            for value, kept in zip(self.values, self.best, strict=True):
                value.copy_(kept)
        state, precision = self.state, name_of(self.losses.precision)
        return Fitted(tuple(state.points), state.points[0].held_out, state.best, state.tokens, state.seconds, precision)

    def _due(self, every: int) -> bool:
        return (self.state.step - self.first) % every == 0 or self.state.step == self.last

    def _patience_lost(self) -> bool:
        found = [point.held_out for point in self.state.points]
        patience = self.recovery.patience
        return patience is not None and len(found) - 1 - found.index(min(found)) >= patience

    def _step(self) -> None:
        state, rows = self.state, self.job.corpus.train
        chosen = batch_of(self.recovery, len(rows), state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recovery.learning_rate * rate(self.recovery.warmup, state.step, self.total)
        self.optimizer.zero_grad(set_to_none=True)
        counted = max(1, int(rows.counted[chosen, 1:].sum()))
        loss = 0.0
        with training(self.job.model), drawing(self.job.model.device, hash((self.recovery.seed, state.step))):
            for some in chosen.chunk(self.recovery.accumulate):
                found = self.losses.sum(rows, some) / counted
                found.backward()  # type: ignore[no-untyped-call]
                loss += float(found.detach())
        norm = torch.nn.utils.clip_grad_norm_(self.values, self.recovery.clip)
        if not (math.isfinite(loss) and bool(torch.isfinite(norm))):
            raise DivergedError(self._broken(loss, chosen), self.state.best)
        self.optimizer.step()
        if self.after_step is not None:
            self.after_step()
        state.step += 1
        state.tokens += rows.read(chosen)
        state.since.append(loss)
        pace = state.tokens / state.seconds if state.seconds else 0.0
        self.job.progress(
            f"training: loss {loss:.3f}, {pace:.0f} tokens/s", state.step - self.first, self.last - self.first
        )

    def _broken(self, loss: float, chosen: Tensor) -> str:
        kept = f"an earlier state is kept in {self.path}" if self.path.exists() else "no state was saved yet"
        return (
            f"training: the {'gradient' if math.isfinite(loss) else 'loss'} is NaN or infinite at step "
            f"{self.state.step + 1}, rows {', '.join(str(row) for row in chosen.tolist())}; {kept}; "
            f"a lower learning_rate than {self.recovery.learning_rate:g} may help"
        )

    def _measure(self) -> None:
        """The held-out loss; keep the values if they are the best so far."""
        state = self.state
        held_out = self.losses.mean(self.job.corpus.held_out)
        if not math.isfinite(held_out):
            raise DivergedError(f"training: the held-out loss is NaN or infinite after step {state.step}", state.best)
        loss = sum(state.since) / len(state.since) if state.since else held_out
        state.points.append(Point(state.step, state.tokens, loss, held_out))
        state.since = []
        if held_out < state.best:
            state.best = held_out
            self.best = [value.detach().clone() for value in self.values]


def refuse_rounding(values: Sequence[Tensor]) -> None:
    """Raise CompressError where small steps would be rounded away, or run over."""
    for found in {value.dtype for value in values} - {torch.float32}:
        raise CompressError(
            f"training: weights of {name_of(found)} round small steps away; open the model in float32, or train "
            "adapters beside them, as lora and distill do"
        )


def key_of(job: Job, name: str, part: tuple[float, float]) -> dict[str, str]:
    """What a training depends on, by the name that a user is told when it differs."""
    unrelated = {"save_every", "data", "merge"}
    settings = job.recovery.model_dump_json(exclude=unrelated)
    return {
        "settings": hashlib.sha256(f"{settings} {name} {part}".encode()).hexdigest(),
        "data": rows_digest(job.corpus.train) + rows_digest(job.corpus.held_out),
        "weights": weights_digest(job.model),
    }


@contextmanager
def training(model: PreTrainedModel) -> Iterator[None]:
    """In training mode inside; as it was afterwards."""
    before = model.training
    model.train()
    try:
        yield
    finally:
        model.train(before)


@contextmanager
def drawing(device: torch.device, seed: int) -> Iterator[None]:
    """Inside, what dropout draws is told by the seed alone, so that a training goes on as if it had not stopped."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def checkpointing(model: PreTrainedModel, wanted: bool) -> Iterator[None]:
    """Activations are computed again in the backward pass inside, if wanted."""
    if not wanted:
        yield
        return
    model.activation_checkpointing_enable({"use_reentrant": False})
    try:
        yield
    finally:
        model.activation_checkpointing_disable()  # type: ignore[no-untyped-call]
