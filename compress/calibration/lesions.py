"""What a model is without the FFN of one layer: how far its next-token distributions are from the whole model's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from compress.anatomy.blocks import Block
from compress.anatomy.head import Head, behind, head_of
from compress.anatomy.walk import Loaded, Stream, entrance, evaluating, in_memory
from compress.errors import CompressError
from compress.progress import Progress, silent

TOKENS = 512
"""Of the calibration text that are read, in whole windows: once for every layer, so as few as tell layers apart."""
LOGIT_ROWS = 128


def lesions(
    model: PreTrainedModel,
    found: Sequence[Block],
    ids: Tensor,
    progress: Progress = silent,
    loaded: Loaded = in_memory,
) -> list[float]:
    """For every block the KL divergence, in nats a token, to the model without its FFN. ids: (windows, tokens).

    All models go side by side through the layers, and each begins at the layer that it lacks something of: half the
    work of a pass each, and every layer is needed once. Raises CompressError if something is not finite, naming the
    layer.
    """
    head, without = head_of(model), list[Stream]()
    with evaluating(model):
        whole = entrance(model, ids[: max(1, TOKENS // ids.shape[1])])
        for block in found:
            with loaded(block):
                for stream in without:
                    stream.advance(block.layer, block.index)
                without.append(whole.fork())
                with _silenced(block.mlp_out.module):
                    without[-1].advance(block.layer, block.index)
                whole.advance(block.layer, block.index)
            progress("leaving layers out", block.index + 1, len(found))
        before = _ends(model, whole)
        damages = [_divergence(head, before, _ends(model, stream)) for stream in without]
    for block, damage in zip(found, damages, strict=True):
        if not damage < float("inf"):
            raise CompressError(f"layer {block.index}: NaN or infinite logits without its FFN")
    return damages


def _ends(model: PreTrainedModel, stream: Stream) -> Tensor:
    """(tokens, hidden), what the output layer reads."""
    return torch.cat([behind(model, batch).flatten(0, 1) for batch in stream.hidden])


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
    """Mean over tokens. before, after: (tokens, hidden), what the output layer reads."""
    total = 0.0
    for start in range(0, len(before), LOGIT_ROWS):
        rows = slice(start, start + LOGIT_ROWS)
        old, new = (head.logits(hidden[rows]).log_softmax(dim=-1) for hidden in (before, after))
        total += float((old.exp() * (old - new)).sum(dtype=torch.float64).clamp(min=0.0))
    return total / len(before)
