"""bfloat16 in forward and backward passes; what is trained, and its optimiser, are in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from compress.anatomy.families import decoder_layers
from compress.training.settings import Recovery


def precision_of(recovery: Recovery, device: torch.device) -> torch.dtype:
    """What `precision` means on this device; auto is bfloat16 where it has instructions for that."""
    if recovery.precision == "auto":
        return torch.bfloat16 if _able(device) else torch.float32
    return torch.bfloat16 if recovery.precision == "bfloat16" else torch.float32


def _able(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False


def name_of(precision: torch.dtype) -> str:
    """As recipes write it."""
    return str(precision).removeprefix("torch.")


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Products inside are in this precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision != torch.float32)


@contextmanager
def lowered(model: PreTrainedModel, precision: torch.dtype) -> Iterator[None]:
    """Inside, the decoder layers' matrices that get no gradient are in bfloat16 if that is it: no pass casts them."""
    trained = torch.is_grad_enabled()
    parameters = (value for layer in decoder_layers(model) for value in layer.parameters())
    frozen = (value for value in parameters if value.ndim == 2 and not (trained and value.requires_grad))
    held = [(value, value.data) for value in frozen] if precision != torch.float32 else []
    try:
        for value, whole in held:
            value.data = whole.to(precision)
        yield
    finally:
        for value, whole in held:
            value.data = whole
