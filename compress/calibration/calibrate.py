"""Calibration text -> token windows -> Stats."""

from __future__ import annotations

import hashlib
import random
from typing import cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress import text_files
from compress.anatomy.blocks import blocks
from compress.calibration.collect import collect
from compress.calibration.stats import BlockStats, Stats
from compress.errors import CompressError
from compress.progress import Progress, silent
from compress.receipt import CalibrationFacts
from compress.recipe import Calibration


def calibrate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | Tensor | None,
    calibration: Calibration,
    needs: frozenset[str],
    progress: Progress = silent,
) -> Stats:
    """Run the calibration text through the model and keep what `needs` names.

    needs: any of `stats.NEEDS`; empty: no forward pass at all.
    Raises CompressError on unreadable or too short text, and on NaN activations.
    """
    if not needs:
        return Stats(tuple(BlockStats() for _ in blocks(model)))
    ids, facts = read(model, tokenizer, calibration)
    return Stats(collect(model, ids, needs, progress), facts)


def read(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | Tensor | None, calibration: Calibration
) -> tuple[Tensor, CalibrationFacts]:
    """((windows, tokens) token ids, what was read).

    tokenizer: for the recipe's text; or such token ids themselves, which are then read instead.
    Raises CompressError on text that is unreadable or too short.
    """
    if tokenizer is None:
        raise CompressError("this method reads calibration text, so it needs the model's tokenizer")
    if isinstance(tokenizer, Tensor):
        _check_ids(model, tokenizer)
        digest = hashlib.sha256(tokenizer.cpu().numpy().tobytes()).hexdigest()
        return tokenizer, CalibrationFacts("token ids of the caller", digest, tokenizer.numel())
    source, text = read_text(calibration)
    ids = windows(tokenizer, text, calibration, source)
    _check_ids(model, ids)
    return ids, CalibrationFacts(source, hashlib.sha256(text.encode()).hexdigest(), ids.numel())


def read_text(calibration: Calibration) -> tuple[str, str]:
    """(source, text). The built-in text is the language reference that every Python brings along."""
    if calibration.file is None:
        from pydoc_data.topics import topics

        return "builtin:pydoc_data.topics", "\n\n".join(topics[name] for name in sorted(topics))
    path, what = calibration.file, "calibration text"
    if path.suffix != ".jsonl":
        return str(path), text_files.read(path, what)
    return str(path), "\n\n".join(row.text(calibration.field) for row in text_files.rows(path, what))


def windows(tokenizer: PreTrainedTokenizerBase, text: str, calibration: Calibration, source: str) -> Tensor:
    """(windows, tokens) token ids: the text cut in windows, of which `seed` draws as many as asked."""
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    wanted, length = calibration.windows, calibration.tokens
    if len(ids) < wanted * length:
        raise CompressError(
            f"{source}: too little calibration text: {wanted} windows of {length} tokens need {wanted * length}, "
            f"found {len(ids)}"
        )
    drawn = sorted(random.Random(calibration.seed).sample(range(len(ids) // length), wanted))
    return torch.tensor([ids[index * length : (index + 1) * length] for index in drawn])


def _check_ids(model: PreTrainedModel, ids: Tensor) -> None:
    if ids.ndim != 2 or not ids.numel() or ids.is_floating_point() or int(ids.min()) < 0:
        raise CompressError("calibration: token ids are (windows, tokens) whole numbers from 0, at least one of each")
    known = embedded_tokens(model)
    if int(ids.max()) >= known:
        raise CompressError(f"the tokenizer gives token {int(ids.max())}, but the model knows only {known} tokens")
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and ids.shape[1] > longest:
        raise CompressError(f"calibration: {ids.shape[1]} tokens a window, but the model reads at most {longest}")


def embedded_tokens(model: PreTrainedModel) -> int:
    """How many tokens the model has an embedding for."""
    return int(cast(nn.Embedding, model.get_input_embeddings()).num_embeddings)
