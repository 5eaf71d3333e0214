"""Where the weights of a model lie: on one device, or spread over several, the machine's memory and its disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.records import ModelSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

ASIDE = ("cpu", "disk")
"""Where weights wait until a device needs them, where there is one."""


def found_device() -> str:
    """Where a model goes that is not spread."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def refuse_unsupported(model: PreTrainedModel, source: str) -> None:
    """Raise HarnessError if the device lacks an operation of the model, as MPS may; two tokens tell."""
    import torch

    try:
        with torch.inference_mode():
            model(input_ids=torch.tensor([[0, 1]], device=input_device(model)), use_cache=False)
    except NotImplementedError as error:
        raise HarnessError(
            f"{source}: {input_device(model)} lacks an operation: {str(error).splitlines()[0]}; "
            "PYTORCH_ENABLE_MPS_FALLBACK=1 in the environment leaves it to the CPU"
        ) from error


def input_device(model: PreTrainedModel) -> torch.device:
    """Where a model takes its tokens and gives its logits."""
    import torch

    placed: Mapping[str, int | str] = getattr(model, "hf_device_map", {})
    if not placed:
        return model.device
    return torch.device(next((device for device in placed.values() if device not in ASIDE), "cpu"))


def output_layer(model: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """Weight (vocabulary, hidden) and bias (vocabulary,) of the output layer, wherever they wait, on `input_device`."""
    from accelerate.utils import align_module_device  # type: ignore[import-untyped]

    head: torch.nn.Linear = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    with align_module_device(head):
        weight = head.weight.detach().to(input_device(model))
        bias = weight.new_zeros(len(weight)) if head.bias is None else head.bias.detach().to(weight.device)
    return weight, bias


def own_parameters(model: PreTrainedModel) -> list[torch.nn.Parameter]:
    """Every parameter once: tied ones that wait elsewhere are one only by name."""
    tied = model.all_tied_weights_keys if model.config.get_text_config().tie_word_embeddings else ()
    return [parameter for name, parameter in model.named_parameters() if name not in tied]


def not_plain(spec: ModelSpec, source: Path | None = None) -> str:
    """Why a model's weights cannot be spread; empty: they can. source: where it lies, unless the spec says so."""
    from compress.checkpoints.opening import ADAPTER

    source = source or Path(spec.source).expanduser()
    reasons = {
        "a .gguf file": source.suffix == ".gguf" or source.is_file(),
        "one with an adapter": spec.adapter is not None or (source / ADAPTER).is_dir(),
        "one to be rounded to int8": spec.dtype == "int8",
    }
    return next((what for what, is_so in reasons.items() if is_so), "")


def spread(source: Path, spec: ModelSpec, dtype: torch.dtype) -> PreTrainedModel:
    """Open a folder with its weights spread as the spec's `device_map` says.

    Raises HarnessError for what only a model in one place can be, and for devices and modules that are not there.
    """
    from compress import open_model

    assert spec.device_map is not None
    if what := not_plain(spec, source):
        raise HarnessError(f"{spec.source}: device_map spreads a plain folder of safetensors, not {what}")
    if not isinstance(spec.device_map, str):
        _refuse_absent(spec.source, spec.device_map)
    # For weights that are kept in another form than their file's, and must wait on the disk.
    room = tempfile.mkdtemp(prefix="secateur-spread-")
    try:
        model = open_model(source, dtype, spec.device_map, Path(room))
    except ValueError as error:
        shutil.rmtree(room, ignore_errors=True)
        raise HarnessError(f"{spec.source}: device_map: {' '.join(str(error).split())}") from error
    weakref.finalize(model, shutil.rmtree, room, ignore_errors=True)
    return model


def told(model: PreTrainedModel) -> str:
    """How many modules lie where, for a reader."""
    counts = Counter(str(device) for device in getattr(model, "hf_device_map", {}).values())
    if not counts:
        return f"all on {model.device}"
    return ", ".join(f"{count} modules on {device}" for device, count in counts.items())


def _refuse_absent(source: str, wanted: Mapping[str, int | str]) -> None:
    import torch

    there = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    there += ["mps"] if torch.backends.mps.is_available() else []
    for module, device in wanted.items():
        name = f"cuda:{device}" if isinstance(device, int) else device
        if name not in (*there, *ASIDE):
            allowed = ", ".join((*there, *ASIDE))
            raise HarnessError(f"{source}: device_map: {module!r} on {device}: not on this machine; allowed: {allowed}")
