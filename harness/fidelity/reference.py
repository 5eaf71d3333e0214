"""What an original makes of a corpus, kept on disk so that it runs once for all its candidates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from compress import drafts
from harness.digest import digest
from harness.errors import HarnessError
from harness.fidelity.corpus import Corpus, Window, windows
from harness.models.placement import output_layer
from harness.progress import Progress, silent
from harness.scoring import NotFiniteError, select
from harness.scoring.nan import where_broken

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.opening import LoadedModel

PROTOCOL = "1"
"""Raised whenever the same original and corpus may give another reference than before."""
BATCH_TOKENS = 512
"""Tokens of one forward pass, padding counted: the logits of all of them are in memory."""
LOGIT_ROWS = 128
"""Positions whose float32 distributions are worked on at a time."""
TOLERANCE = 1e-3
"""Relative, between the model's logits and its output layer applied to what that layer reads."""


class FidelityRefusedError(HarnessError):
    """The two models cannot be compared token by token; the message says why."""


class Original(Protocol):
    """Known by its fingerprint at once, opened only if it must run."""

    fingerprint: str

    def loaded(self) -> LoadedModel:
        """The open model."""
        ...


@dataclass(frozen=True)
class Reference:
    """One line for each predicted token, window after window."""

    hidden: Tensor
    """(tokens, hidden): what the output layer read, in float16, which puts the mean KL divergence off by 4e-7 nats."""
    nll: Tensor
    """(tokens,): -log p of the token that follows, in nats."""
    best: Tensor
    """(tokens,): the most likely token."""
    head: Tensor
    """(vocabulary, hidden)"""
    bias: Tensor
    """(vocabulary,)"""
    text: str
    """Digest of the windows' tokens."""

    def logits(self, at: slice) -> Tensor:
        """(lines, vocabulary) in float32, on the device of the output layer."""
        from torch.nn import functional

        hidden = self.hidden[at].to(self.head.device, self.head.dtype)
        return functional.linear(hidden, self.head, self.bias).float()


class Chunk(NamedTuple):
    """A few predicted tokens of one window."""

    at: slice
    """Their lines, counted over all windows."""
    targets: Tensor
    """(lines,)"""
    hidden: Tensor
    """(lines, hidden)"""
    logits: Tensor
    """(lines, vocabulary), float32"""


def reference(original: Original, corpus: Corpus, folder: Path, progress: Progress = silent) -> Path:
    """The original's reference file, made if `folder` has no sound one.

    Raises FidelityRefusedError where logits are not the output layer applied to what it reads (a soft cap, a scale).
    """
    path = folder / f"{digest('reference', PROTOCOL, original.fingerprint, corpus.identity)[:32]}.safetensors"
    if not _sound(path):
        _write(_run(original.loaded(), corpus, progress), path)
    return path


def read_reference(path: Path) -> Reference:
    """Raises HarnessError if the file is missing or broken."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            about = json.loads((file.metadata() or {})["about"])
        if about["sha256"] != _checksum(tensors):
            raise HarnessError(f"{path}: its content is damaged; delete it and run again")
        return Reference(**tensors, text=about["text"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HarnessError(f"{path}: not a reference of an original: {error}; delete it and run again") from error


def sweep(loaded: LoadedModel, cut: Sequence[Window], progress: Progress) -> Iterator[Chunk]:
    """Run a model over all windows, longest first, and hand out its predictions piece by piece."""
    import torch

    first, total = {}, 0
    for window in cut:
        first[window.id] = total
        total += window.scored
    done = 0
    for batch in _batches(sorted(cut, key=lambda window: -window.scored)):
        rows = [window.tokens[:-1] for window in batch]
        selected = select(loaded.model, rows, [range(len(row)) for row in rows])
        line = 0
        for window in batch:
            targets = torch.tensor(window.tokens[1:], device=selected.logits.device)
            for start in range(0, window.scored, LOGIT_ROWS):
                some = targets[start : start + LOGIT_ROWS]
                here, there = slice(line, line + len(some)), first[window.id] + start
                logits = selected.logits[here].float()
                yield Chunk(slice(there, there + len(some)), some, selected.hidden[here], logits)
                line += len(some)
            done += window.scored
        progress("fidelity", done, total)


def text_digest(cut: Sequence[Window]) -> str:
    """Of the tokens that both models must read."""
    return digest([window.tokens for window in cut])


def _run(loaded: LoadedModel, corpus: Corpus, progress: Progress) -> Reference:
    """One pass of the original over the corpus."""
    import torch

    cut = windows(corpus, loaded.tokenizer)
    count = sum(window.scored for window in cut)
    weight, bias = output_layer(loaded.model)
    hidden = torch.empty(count, weight.shape[1])
    nll, best = torch.empty(count), torch.empty(count, dtype=torch.int64)
    for chunk in sweep(loaded, cut, progress):
        _check_linear(chunk, weight, bias, loaded.spec.source)
        hidden[chunk.at] = chunk.hidden.float().cpu()
        best[chunk.at] = chunk.logits.argmax(dim=-1).cpu()
        nll[chunk.at] = torch.nn.functional.cross_entropy(chunk.logits, chunk.targets, reduction="none").cpu()
    refuse_broken(loaded, corpus, cut, nll)
    half = hidden.half()
    kept = half if bool(half.isfinite().all()) else hidden
    return Reference(kept, nll, best, weight.cpu(), bias.cpu(), text_digest(cut))


def refuse_broken(loaded: LoadedModel, corpus: Corpus, cut: Sequence[Window], *values: Tensor) -> None:
    """Raise NotFiniteError, with the layer, if a value is not finite. values: (tokens,) each, window after window."""
    end = 0
    for window in cut:
        at = slice(end, end := end + window.scored)
        if not all(bool(value[at].isfinite().all()) for value in values):
            where = where_broken(loaded.model, window.tokens[:-1])
            raise NotFiniteError(f"{loaded.spec.name}: its log-likelihood is not finite on {corpus.name}{where}")


def _check_linear(chunk: Chunk, weight: Tensor, bias: Tensor, source: str) -> None:
    """One line of a chunk tells whether the model does more to its logits than the output layer."""
    from torch.nn import functional

    again = functional.linear(chunk.hidden[:1], weight, bias).float()
    if (again - chunk.logits[:1]).abs().max() > TOLERANCE * chunk.logits[:1].abs().max():
        raise FidelityRefusedError(
            f"{source}: it changes its logits after the output layer; fidelity cannot keep those"
        )


def _batches(cut: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows in the order given, longest first, as many at a time as BATCH_TOKENS allows."""
    batch: list[Window] = []
    for window in cut:
        if batch and (len(batch) + 1) * batch[0].scored > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _sound(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_reference(path)
    except HarnessError:
        return False
    return True


def _write(made: Reference, path: Path) -> None:
    """Beside its place first, so that a killed run leaves no half file under the name."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {name: getattr(made, name).contiguous() for name in ("hidden", "nll", "best", "head", "bias")}
    try:
        with drafts.whole(path) as draft:
            about = json.dumps({"text": made.text, "sha256": _checksum(tensors)})
            # One entry: safetensors writes several in any order, and equal content should be equal bytes.
            save_file(tensors, draft, {"about": about})
    except (OSError, SafetensorError) as error:
        raise HarnessError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _checksum(tensors: dict[str, Tensor]) -> str:
    """Sha256, in hex, of the values in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(tensors[name].contiguous().numpy().tobytes())
    return total.hexdigest()
