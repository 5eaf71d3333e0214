"""A model of embeddings: the vector of a text is the mean of a transformers model's last hidden states over it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.advising import Keep
from harness.digest import digest
from harness.errors import HarnessError
from harness.models.opening import fingerprint_of, located, open_tokenizer
from harness.models.placement import found_device
from harness.progress import Progress, named
from harness.quiet import quiet
from harness.records import ModelSpec
from suites.advice import Advice, Question

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NAME = "embeddings"
BATCH = 16
"""Texts in one pass."""
DIGITS = 7
"""Of a number that is kept; float32 has no more."""
MAX_TOKENS = 2**20
"""What a tokenizer says that knows no limit is larger."""


class Embedder:
    """An adviser that replies with vectors, not normalised. Of a longer text the beginning counts that fits."""

    def __init__(self, spec: ModelSpec, progress: Progress) -> None:
        self._spec = spec
        self._fingerprint = fingerprint_of(spec, progress)
        self._open: tuple[PreTrainedModel, PreTrainedTokenizerBase] | None = None
        self.name = spec.source

    @property
    def identity(self) -> str:
        return digest(NAME, "1", self._fingerprint)

    def ask(self, questions: Sequence[Question], keep: Keep, progress: Progress) -> None:
        model, tokenizer = self._opened()
        ordered = sorted(questions, key=lambda question: len(question.text))
        progress = named(progress, NAME)
        for start in range(0, len(ordered), BATCH):
            progress("texts", start, len(ordered))
            batch = ordered[start : start + BATCH]
            vectors = _vectors(model, tokenizer, [question.text for question in batch])
            keep(dict(zip(batch, vectors, strict=True)))
        progress("texts", len(ordered), len(ordered))

    def release(self) -> None:
        self._open = None

    def _opened(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        if self._open is None:
            folder = located(self._spec)
            if folder.is_file():
                raise HarnessError(f"embeddings: {self._spec.source} is a file; give a folder or a hub id")
            self._open = _model(self._spec, str(folder)), open_tokenizer(folder)
        return self._open


def _model(spec: ModelSpec, folder: str) -> PreTrainedModel:
    """The model without its head; no code of the folder is run, no pickle is read."""
    import torch
    from transformers import AutoModel

    try:
        with quiet():
            model: PreTrainedModel = AutoModel.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False, local_files_only=True, use_safetensors=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise HarnessError(f"embeddings: {spec.source} cannot be opened: {' '.join(str(error).split())}") from error
    module: torch.nn.Module = model
    module.to(found_device()).eval()
    return model


def _vectors(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Iterator[Advice]:
    """One vector a text, as JSON, zeros for a text without tokens; none that is not made of numbers."""
    import torch

    rows = [_tokens(text, model, tokenizer) for text in texts]
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), max(longest, 1), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[number, : len(row)] = 1
    with torch.inference_mode():
        states: torch.Tensor = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device))[0].cpu()
    # What stands where there is no token may be NaN, which would stay so if it were multiplied by zero.
    summed = states.double().masked_fill(mask[:, :, None] == 0, 0.0).sum(1)
    for row, total in zip(rows, summed, strict=True):
        yield _advice(total / max(len(row), 1))


def _tokens(text: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or MAX_TOKENS)
    return list(tokenizer(text, truncation=limit < MAX_TOKENS, max_length=min(limit, MAX_TOKENS))["input_ids"])


def _advice(vector: torch.Tensor) -> Advice:
    if not vector.isfinite().all():
        return Advice(None, "the embedding is not made of numbers")
    return Advice(json.dumps([float(f"{number:.{DIGITS}g}") for number in vector.tolist()]))
