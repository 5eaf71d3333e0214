"""Self-answers: what the original says to prompts, sampled from all that it might say, and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from compress import drafts
from compress.anatomy.head import head_of
from compress.anatomy.walk import evaluating
from compress.errors import CompressError
from compress.training.precision import autocast, lowered

Ids = tuple[int, ...]

BATCH = 64
"""Prompts that are answered together at most; a killed run loses as many answers. Long answers are waited for: of 64
prompts a step still computes thirteen on average, of 32 seven, and one costs hardly less than the other."""


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn: from the whole distribution at a temperature."""

    seed: int
    window: int
    """Tokens of a prompt and its answer together, at most."""
    ends: Ids
    """Token ids that end an answer, and belong to it."""
    batch: int
    """Prompts that are answered together."""
    temperature: float = 1.0
    precision: torch.dtype = torch.float32
    """Of the decoder layers; the output layer has that of its weights."""


def answers(
    model: PreTrainedModel, prompts: Sequence[Ids], sampling: Sampling, cache: Path | None = None
) -> Iterator[tuple[int, Ids]]:
    """(place of the prompt, answer) for every prompt, in order; a batch is computed when its first answer is asked for.

    prompts: token ids, each at least one and fewer than a window. cache: a folder that keeps every batch, so that later
    calls with the same model, prompts and sampling only read. On the same machine and libraries an answer depends on
    its batch alone.
    Raises CompressError on NaN, and where nothing can be written.
    """
    folder = cache / identity(model, prompts, sampling) if cache is not None else None
    for number, start in enumerate(range(0, len(prompts), sampling.batch)):
        batch = prompts[start : start + sampling.batch]
        path = folder / f"{number:06d}.json" if folder is not None else None
        found = _kept(path, len(batch))
        if found is None:
            found = sampled(model, batch, sampling, _uniform(sampling, number))
            _keep(path, found)
        yield from enumerate(found, start)


def sampled(model: PreTrainedModel, prompts: Sequence[Ids], sampling: Sampling, uniform: Tensor) -> list[Ids]:
    """One answer each. uniform: (prompts, window) float64 in [0, 1), what decides over every token.

    A row that has ended is computed no further. Raises CompressError on NaN.
    """
    ids, mask = (tensor.to(model.device) for tensor in _padded(prompts))
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    head, cache = head_of(model), DynamicCache(config=model.config)
    rows = list(range(len(prompts)))
    said: list[list[int]] = [[] for _ in prompts]
    with evaluating(model), lowered(model, sampling.precision):
        for step in range(sampling.window):
            with autocast(model.device, sampling.precision):
                output = model.base_model(
                    input_ids=ids, attention_mask=mask, position_ids=positions, cache=cache, use_cache=True
                )
            logits = head.logits(output.last_hidden_state[:, -1])
            chosen = drawn(logits / sampling.temperature, uniform[rows, step])
            for row, token in zip(rows, chosen, strict=True):
                said[row].append(token)
            going = [
                place
                for place, row in enumerate(rows)
                if chosen[place] not in sampling.ends and len(prompts[row]) + len(said[row]) < sampling.window
            ]
            if not going:
                break
            if len(going) < len(rows):
                cache.batch_select_indices(torch.tensor(going, device=model.device))
            rows = [rows[place] for place in going]
            ids = torch.tensor([[chosen[place]] for place in going], device=model.device)
            positions = positions[going, -1:] + 1
            mask = torch.nn.functional.pad(mask[going], (0, 1), value=1)
    return [tuple(answer) for answer in said]


def drawn(logits: Tensor, uniform: Tensor) -> list[int]:
    """logits: (rows, tokens). Returns the first token of each row at which the cumulative probability exceeds uniform.

    In float64, so that rare tokens keep their share.
    """
    wide = logits.cpu() if logits.device.type == "mps" else logits  # which has no float64
    sums = wide.double().softmax(dim=-1).cumsum(dim=-1)
    totals = sums[:, -1:]
    if not bool(torch.isfinite(totals).all()):
        raise CompressError("the original gives NaN or infinite logits, so it cannot answer prompts")
    places = torch.searchsorted(sums, uniform[:, None].to(sums.device) * totals, right=True)
    found: list[int] = places.clamp(max=sums.shape[1] - 1).flatten().tolist()
    return found


def _uniform(sampling: Sampling, batch: int) -> Tensor:
    """Every batch has its own numbers, so that one can be computed without those before."""
    seed = hashlib.sha256(f"{sampling.seed}/{batch}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(seed[:7], "big"))
    return torch.rand(sampling.batch, sampling.window, generator=generator, dtype=torch.float64)


def _padded(prompts: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """(rows, width) token ids, and which of them are no padding; padding is on the left, and any token will do."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def identity(model: PreTrainedModel, prompts: Sequence[Ids], sampling: Sampling) -> str:
    """A name for the answers: 32 hex digits over prompts, sampling, config and a sample of every weight."""
    config = {key: value for key, value in model.config.to_dict().items() if key not in ("_name_or_path", "dtype")}
    digest = hashlib.sha256(json.dumps([prompts, asdict(sampling), config], default=str, sort_keys=True).encode())
    for name, weight in model.state_dict().items():
        few = weight.flatten()[:: max(1, weight.numel() // 1024)].float().cpu()
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode() + few.numpy().tobytes())
    return digest.hexdigest()[:32]


def _kept(path: Path | None, rows: int) -> list[Ids] | None:
    """What a batch's file holds; None if there is none, or it is damaged."""
    try:
        found: Any = json.loads(path.read_text(encoding="ascii")) if path is not None else None
    except (OSError, ValueError):
        return None
    if not isinstance(found, list) or len(found) != rows:
        return None
    sound = all(isinstance(answer, list) and all(type(token) is int for token in answer) for answer in found)
    return [tuple(answer) for answer in found] if sound else None


def _keep(path: Path | None, found: Sequence[Ids]) -> None:
    """The file appears whole or not at all."""
    if path is None:
        return
    try:
        with drafts.whole(path) as draft:
            draft.write_text(json.dumps(found), encoding="ascii")
    except OSError as error:
        raise CompressError(f"{path}: cannot keep answers of the original: {error.strerror or error}") from None
