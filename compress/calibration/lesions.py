"""What a model is without the FFN of one layer: how far its next-token distributions are from the whole model's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.anatomy.blocks import Block
from compress.anatomy.head import Head, head_of, last_hidden
from compress.anatomy.walk import evaluating
from compress.errors import CompressError
from compress.progress import Progress, silent

TOKENS = 512
"""Of the calibration text that are read, in whole windows: once for every layer, so as few as tell layers apart."""
LOGIT_ROWS = 128


def lesions(model: PreTrainedModel, found: Sequence[Block], ids: Tensor, progress: Progress = silent) -> list[float]:
    """For every block the KL divergence, in nats a token, to the model without its FFN. ids: (windows, tokens).

    Raises CompressError if one is not finite, naming the layer.
    """
    read = ids[: max(1, TOKENS // ids.shape[1])].to(model.device)
    head, damages = head_of(model), []
    with evaluating(model):
        whole = [last_hidden(model, window.unsqueeze(0))[0] for window in read]
        for block in found:
            with _silenced(block.mlp_out.module):
                parts = [last_hidden(model, window.unsqueeze(0))[0] for window in read]
            damage = sum(_divergence(head, *pair) for pair in zip(whole, parts, strict=True)) / read.numel()
            if not damage < float("inf"):
                raise CompressError(f"layer {block.index}: NaN or infinite logits without its FFN")
            damages.append(damage)
            progress("leaving layers out", block.index + 1, len(found))
    return damages


@contextmanager
def _silenced(module: nn.Module) -> Iterator[None]:
    """Inside, the module puts out zeros."""

    def silent(_module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        return torch.zeros_like(output)

    hook = module.register_forward_hook(silent)
    try:
        yield
    finally:
        hook.remove()


def _divergence(head: Head, before: Tensor, after: Tensor) -> float:
    """Sum over tokens. before, after: (tokens, hidden), what the output layer reads."""
    total = 0.0
    for start in range(0, len(before), LOGIT_ROWS):
        rows = slice(start, start + LOGIT_ROWS)
        old, new = (head.logits(hidden[rows]).log_softmax(dim=-1) for hidden in (before, after))
        total += float((old.exp() * (old - new)).sum(dtype=torch.float64).clamp(min=0.0))
    return total
