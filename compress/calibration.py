"""Token windows and Stats: what flows into each Linear, gathered by hooks on normal forward passes."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compress.errors import CompressError
from compress.families import Block, blocks
from compress.progress import Progress, silent
from compress.recipe import Calibration, CalibrationFacts

TOKENS_A_BATCH = 2048
"""Bounds the memory of one forward pass, not the result."""


@dataclass(frozen=True)
class BlockStats:
    """What was seen in one decoder layer; a field that nobody needed is None. All float64."""

    channel_squares: Tensor | None = None
    """(channels,) sum over tokens of the squared input of down_proj."""
    head_squares: Tensor | None = None
    """(heads * head_dim,) the same at the input of o_proj."""
    angle: float | None = None
    """Mean over tokens of arccos(cos(layer input, layer output)) / pi, in [0, 1]."""


@dataclass(frozen=True)
class Stats:
    """What one calibration saw, layer by layer."""

    blocks: tuple[BlockStats, ...]
    facts: CalibrationFacts | None = None
    """None: no data was needed."""


def calibrate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    calibration: Calibration,
    needs: frozenset[str],
    progress: Progress = silent,
) -> Stats:
    """Run the calibration text through the model and keep what `needs` names.

    needs: any of "channels", "heads", "angles"; empty: no forward pass at all.
    Raises CompressError on unreadable or too short text, and on NaN activations.
    """
    if not needs:
        return Stats(tuple(BlockStats() for _ in blocks(model)))
    if tokenizer is None:
        raise CompressError("this method reads calibration text, so it needs the model's tokenizer")
    source, text = read_text(calibration)
    ids = windows(tokenizer, text, calibration, source)
    _check_ids(model, ids)
    facts = CalibrationFacts(source, hashlib.sha256(text.encode()).hexdigest(), ids.numel())
    return Stats(collect(model, ids, needs, progress), facts)


def read_text(calibration: Calibration) -> tuple[str, str]:
    """(source, text). The built-in text is the language reference that every Python brings along."""
    if calibration.file is None:
        from pydoc_data.topics import topics

        return "builtin:pydoc_data.topics", "\n\n".join(topics[name] for name in sorted(topics))
    path = calibration.file
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CompressError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise CompressError(f"{path}: cannot read calibration text: {error.strerror}") from None
    return str(path), _jsonl_text(path, text, calibration.field) if path.suffix == ".jsonl" else text


def _jsonl_text(path: Path, text: str, field: str) -> str:
    documents = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CompressError(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get(field), str):
            raise CompressError(f"{path}:{number}: no text under '{field}'")
        documents.append(row[field])
    return "\n\n".join(documents)


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
    known = embedded_tokens(model)
    if int(ids.max()) >= known:
        raise CompressError(f"the tokenizer gives token {int(ids.max())}, but the model knows only {known} tokens")
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and ids.shape[1] > longest:
        raise CompressError(f"calibration: {ids.shape[1]} tokens a window, but the model reads at most {longest}")


def embedded_tokens(model: PreTrainedModel) -> int:
    """How many tokens the model has an embedding for."""
    return int(cast(nn.Embedding, model.get_input_embeddings()).num_embeddings)


def collect(
    model: PreTrainedModel, ids: Tensor, needs: frozenset[str], progress: Progress = silent
) -> tuple[BlockStats, ...]:
    """One forward pass over ids: (windows, tokens), in batches; sums are kept in float64, activations are not kept.

    The head is left out: only the decoder runs.
    """
    tallies = [_Tally(block, needs) for block in blocks(model)]
    rows = max(1, TOKENS_A_BATCH // ids.shape[1])
    with torch.no_grad(), evaluating(model), ExitStack() as hooks:
        for tally in tallies:
            tally.watch(hooks)
        for start in range(0, len(ids), rows):
            model.base_model(input_ids=ids[start : start + rows].to(model.device), use_cache=False)
            progress("calibrating", min(start + rows, len(ids)), len(ids))
    return tuple(tally.stats() for tally in tallies)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout inside; as it was afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class _Tally:
    """Running sums of one decoder layer."""

    def __init__(self, block: Block, needs: frozenset[str]) -> None:
        self.block = block
        self.needs = needs
        self.channels = torch.zeros(block.channels, dtype=torch.float64, device=block.mlp_out.weight.device)
        self.heads = torch.zeros(
            block.attention_out.in_features, dtype=torch.float64, device=block.attention_out.weight.device
        )
        self.angles = 0.0
        self.tokens = 0

    def watch(self, hooks: ExitStack) -> None:
        """Hook on to the layer until `hooks` closes."""

        def channels(module: nn.Module, args: tuple[Any, ...]) -> None:
            self.channels += _squares(args[0])

        def heads(module: nn.Module, args: tuple[Any, ...]) -> None:
            self.heads += _squares(args[0])

        def angles(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            before = args[0] if args else kwargs["hidden_states"]
            self.angles += float(token_angles(before, output[0] if isinstance(output, tuple) else output).sum())
            self.tokens += before.shape[0] * before.shape[1]

        if "channels" in self.needs:
            hooks.callback(self.block.mlp_out.register_forward_pre_hook(channels).remove)
        if "heads" in self.needs:
            hooks.callback(self.block.attention_out.register_forward_pre_hook(heads).remove)
        if "angles" in self.needs:
            hooks.callback(self.block.layer.register_forward_hook(angles, with_kwargs=True).remove)

    def stats(self) -> BlockStats:
        """The sums, once they are known to be numbers."""
        sums = float(self.channels.sum() + self.heads.sum().to(self.channels.device)) + self.angles
        if not torch.isfinite(torch.tensor(sums)):
            raise CompressError(f"layer {self.block.index}: NaN or infinite activations during calibration")
        return BlockStats(
            channel_squares=self.channels if "channels" in self.needs else None,
            head_squares=self.heads if "heads" in self.needs else None,
            angle=self.angles / self.tokens if "angles" in self.needs else None,
        )


def _squares(x: Tensor) -> Tensor:
    """x: (..., n). Returns (n,) sums of squares, in float64."""
    return x.reshape(-1, x.shape[-1]).double().square().sum(dim=0)


def token_angles(before: Tensor, after: Tensor) -> Tensor:
    """before, after: (..., hidden). Returns (...) arccos(cosine) / pi, row by row.

    The cosine is clamped to [-1, 1]: rounding takes it beyond, where arccos is NaN.
    """
    cosine = torch.cosine_similarity(before.double(), after.double(), dim=-1)
    return cosine.clamp(-1.0, 1.0).arccos() / torch.pi
