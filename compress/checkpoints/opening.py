"""Open any model folder, pruned or stock, without running code from it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from compress.checkpoints.layout import check_added_biases
from compress.checkpoints.modelling import pruned_class, stock_class
from compress.errors import CompressError

ADAPTER = "adapter"
"""Folder of an adapter that belongs to the model, inside the model's own."""
LAYER = re.compile(r"(^|\.)(layers|h)\.\d+\.")
"""In the name of a weight: that of a decoder layer."""


def open_model(
    folder: Path | str,
    dtype: torch.dtype | None = None,
    device_map: str | dict[str, int | str] | None = None,
    offload_folder: Path | None = None,
) -> PreTrainedModel:
    """Open a model folder, pruned or stock, in evaluation mode; never runs code from the folder.

    An adapter that was kept apart, in the folder adapter/, is put on. dtype: None keeps that of the weights.
    device_map, offload_folder: how weights are spread over devices, as transformers has it; None: on the CPU.
    Raises CompressError if weights are missing, damaged, or do not have the sizes that config.json says.
    """
    folder = Path(folder)
    weight_files(folder)
    config, kind = described(folder)
    model, report = kind.from_pretrained(
        folder,
        config=config,
        dtype=dtype or "auto",
        use_safetensors=True,
        local_files_only=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        device_map=device_map,
        offload_folder=offload_folder,
    )
    check_report(folder, report)
    if (folder / ADAPTER).is_dir():
        from compress.adapters import put_on_

        put_on_(model, folder / ADAPTER)
    opened: PreTrainedModel = model.eval()
    # A folder may hold a head of its own and call it tied; transformers then unties it, and the config has to say so.
    opened.config.tie_word_embeddings = opened.config.tie_word_embeddings and bool(opened.all_tied_weights_keys)
    return opened


def described(folder: Path) -> tuple[PreTrainedConfig, Any]:
    """The config of a folder, and the class that it builds. Raises CompressError if config.json makes no sense."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, StrictDataclassError) as error:
        raise CompressError(f"{folder / 'config.json'}: {' '.join(str(error).split())}") from None
    if not config.is_heterogeneous and not hasattr(config, "added_biases"):
        return config, stock_class(config)
    check_added_biases(config)
    return config, pruned_class(config)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a folder. Raises CompressError if any is missing or cut short."""
    if not folder.is_dir():
        raise CompressError(f"{folder}: no such folder")
    if not (folder / "config.json").is_file():
        raise CompressError(f"{folder}: no config.json, so this is not a model folder")
    index = folder / "model.safetensors.index.json"
    names = {"model.safetensors"}
    if index.is_file() and not (folder / "model.safetensors").is_file():
        try:
            names = set(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, KeyError, AttributeError):
            raise CompressError(f"{index}: not an index of weight files") from None
    for name in sorted(names):
        path = folder / name
        if path.parent != folder:
            raise CompressError(f"{index}: '{name}' is not a file of this folder")
        if not path.is_file():
            raise CompressError(f"{folder}: no weights: looked for {path.name} (only safetensors are read)")
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise CompressError(f"{path}: damaged weights: {error}") from None
    return [folder / name for name in sorted(names)]


def check_report(folder: Path, report: dict[str, Any]) -> None:
    """Refuse what transformers would fill with random numbers, and layers that it would leave out."""
    for name, found, expected in sorted(report["mismatched_keys"]):
        raise CompressError(
            f"{folder}: weights and config.json disagree: {name} is {tuple(found)}, config.json wants {tuple(expected)}"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise CompressError(
            f"{folder}: weights and config.json disagree: {missing[0]} is missing ({len(missing)} in all)"
        )
    left_out = sorted(name for name in report["unexpected_keys"] if LAYER.search(name) and "rotary" not in name)
    if left_out:
        raise CompressError(
            f"{folder}: weights and config.json disagree: config.json has no place for {left_out[0]} "
            f"({len(left_out)} in all)"
        )
