"""2:4 weights on sparse tensor cores, where there are any. Untested: no recorded test has run on such a device."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.sparse import to_sparse_semi_structured
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compress.anatomy.blocks import Projection
from compress.anatomy.families import decoder_layers

MULTIPLE = 64
"""What both sizes of a half precision matrix are multiples of wherever torch has a kernel for it."""


def accelerate_(model: PreTrainedModel) -> tuple[int, int]:
    """Hand the 2:4 projections of an opened model over to sparse kernels; for inference, the last thing before it.

    Returns how many it were, and of how many. An adapter that stands beside a projection stays as it is. To be asked
    only where there is no `obstacle`.
    """
    found = projections(model)
    fast = [projection for projection in found if fits(projection)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch may change what it calls a prototype
        for projection in fast:
            weight = to_sparse_semi_structured(projection.weight.contiguous())
            projection.module.weight = nn.Parameter(weight, requires_grad=False)
    return len(fast), len(found)


def obstacle(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why there are no sparse kernels for this device and dtype; None: there are."""
    if device.type != "cuda":
        return f"sparse kernels need a CUDA device, and the model is on {device.type}"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"sparse kernels need float16 or bfloat16, and the model is in {str(dtype).removeprefix('torch.')}"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "this GPU has no sparse tensor cores (compute capability 8.0 or later)"
    return None


def projections(model: PreTrainedModel) -> list[Projection]:
    """Of all decoder layers, also where adapters were put around them; `blocks` wants plain layers."""
    return [
        Projection(name, module)
        for name, module in decoder_layers(model).named_modules()
        if type(module) in (nn.Linear, Conv1D) and "lora_" not in name and isinstance(module, nn.Linear | Conv1D)
    ]


def fits(projection: Projection) -> bool:
    """Whether no four neighbouring inputs of any row keep more than two weights, and the sizes suit the kernels."""
    weight = projection.weight
    if projection.transposed or weight.shape[0] % MULTIPLE or weight.shape[1] % MULTIPLE:
        return False
    return int(weight.reshape(len(weight), -1, 4).count_nonzero(dim=2).max()) <= 2
