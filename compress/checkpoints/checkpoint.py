"""Save a pruned model so that plain transformers opens it too."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from compress import drafts
from compress.anatomy.walk import evaluating
from compress.calibration.calibrate import embedded_tokens
from compress.checkpoints.layout import Description, description_of
from compress.checkpoints.modelling import class_name, source, stock_class
from compress.checkpoints.opening import ADAPTER, open_model
from compress.checkpoints.padding import NOTE, padded
from compress.errors import CompressError
from compress.receipt import Receipt
from compress.shape import Layout

RECEIPT = "receipt.json"
MODELING = "modeling_pruned.py"
TOLERANCE = 1e-5
"""Largest difference of a reopened model's logits, in units of the largest logit."""


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    folder: Path | str,
    receipt: Receipt,
    layout: Layout = "auto",
    adapter: Path | None = None,
) -> Receipt:
    """Write a folder that holds the pruned model, its tokenizer and its receipt; returns the receipt as written.

    adapter: a folder of peft's, of an adapter that stays apart: it becomes the folder adapter/.

    It appears whole or not at all: it is written beside its place, opened again in both ways, and renamed only if
    the logits are those of `model`. Raises CompressError, also if `folder` is already there, or the layout does not go
    with these layers.
    """
    refuse_target(folder)
    if layout == "padded":
        config, weights = padded(model, receipt.shape)
        description = Description(config)
        receipt = replace(receipt, notes=(*receipt.notes, NOTE))
    else:
        description, weights = description_of(model, layout), model.state_dict()
    with placed(folder) as draft:
        write_weights(weights, tied_names(model), draft)
        write_rest(model, tokenizer, draft, description)
        (draft / RECEIPT).write_text(receipt.to_json())
        verify(model, draft, exact=layout != "padded")
        if adapter is not None:
            _beside(adapter, draft, Path(folder).resolve())
    return receipt


def _beside(adapter: Path, draft: Path, base: Path) -> None:
    """Put the adapter into the draft, with the pruned model as its base: peft writes that of before the cut."""
    shutil.copytree(adapter, draft / ADAPTER, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("README.md"))
    config = draft / ADAPTER / "adapter_config.json"
    said = {**json.loads(config.read_text("utf-8")), "base_model_name_or_path": str(base)}
    config.write_text(json.dumps(said, indent=2), encoding="utf-8")


@contextmanager
def placed(folder: Path | str) -> Iterator[Path]:
    """A hidden draft beside `folder`, which takes its place when all that is done inside went well.

    Raises CompressError if `folder` is already there, or cannot be written.
    """
    folder = Path(folder)
    refuse_target(folder)
    drafts.sweep(folder)
    draft = _draft(folder)
    try:
        yield draft
        _readable(draft)
        draft.rename(folder)
    except (OSError, SafetensorError) as error:
        raise CompressError(f"{folder}: cannot save: {getattr(error, 'strerror', None) or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def refuse_target(folder: Path | str) -> None:
    """Raise CompressError if `folder` is there, or cannot be made; worth asking before long work that ends there."""
    folder = Path(folder)
    if folder.exists():
        raise CompressError(f"{folder}: already there; choose another folder or remove it")
    _draft(folder).rmdir()


def _draft(folder: Path) -> Path:
    try:
        return drafts.draft(folder)
    except OSError as error:
        raise CompressError(f"{folder}: cannot write there: {error.strerror}") from None


def write_rest(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, draft: Path, description: Description
) -> None:
    """Write all that a folder holds besides weights and receipt; the model's own weights are not read."""
    _write_description(description, draft)
    write_tools(model, tokenizer, draft)


def _write_description(description: Description, draft: Path) -> None:
    """config.json, and the modelling file where it takes one."""
    (draft / "config.json").write_text(json.dumps(_config(description), indent=2, sort_keys=True) + "\n")
    if description.own_class:
        (draft / MODELING).write_text(source(description.config))


def write_tools(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, draft: Path) -> None:
    """Write the generation config and the tokenizer."""
    if model.generation_config is not None:
        model.generation_config.to_json_file(draft / "generation_config.json")
    if tokenizer is not None:
        tokenizer.save_pretrained(draft)


def write_weights(state: dict[str, Tensor], tied: set[str], draft: Path) -> None:
    """Write all weights but the tied ones.

    Not save_pretrained, which refuses the head counts that `layout.acceptable` finds another type for.
    """
    weights = {name: tensor.contiguous() for name, tensor in state.items() if name not in tied}
    shards = split_torch_state_dict_into_shards(weights, filename_pattern="model{suffix}.safetensors")
    for file, names in shards.filename_to_tensors.items():
        # One key of metadata only: the library writes several in random order.
        save_file({name: weights[name] for name in names}, draft / file, metadata={"format": "pt"})
    if shards.is_sharded:
        index = {"metadata": shards.metadata, "weight_map": shards.tensor_to_filename}
        (draft / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def tied_names(model: PreTrainedModel) -> set[str]:
    """Weights that are others under a second name, and so are not stored."""
    return set(model.all_tied_weights_keys) if model.config.tie_word_embeddings else set()


def _config(description: Description) -> dict[str, Any]:
    """Content of config.json."""
    stock = stock_class(description.config)
    content: dict[str, Any] = json.loads(description.config.to_json_string())
    for key in ("_name_or_path", "auto_map", "added_biases"):
        content.pop(key, None)
    content["architectures"] = [stock.__name__]
    content.update(_old_rope_keys(content.get("rope_parameters") or {}))
    if description.added_biases:
        content["added_biases"] = list(description.added_biases)
    if description.own_class:
        content["auto_map"] = {"AutoModelForCausalLM": f"{Path(MODELING).stem}.{class_name(stock)}"}
    return content


def _old_rope_keys(rope: dict[str, Any]) -> dict[str, Any]:
    """What transformers 4 reads instead; it takes 10,000 where it is missing, without a word."""
    if "full_attention" in rope:
        old = {"rope_theta": rope["full_attention"], "rope_local_base_freq": rope.get("sliding_attention", {})}
        return {key: kind["rope_theta"] for key, kind in old.items() if "rope_theta" in kind}
    return {"rope_theta": rope["rope_theta"]} if "rope_theta" in rope else {}


def _readable(draft: Path) -> None:
    """Ordinary permissions: temporary folders, and some writers, keep files to their owner."""
    draft.chmod(0o755)
    for path in draft.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def verify(model: PreTrainedModel, folder: Path, exact: bool = True) -> None:
    """Open a saved folder in both ways and compare logits with the model in memory.

    exact: the same matrices are multiplied, so that even in half precision nothing differs.
    Raises CompressError if they differ by more than rounding.
    """
    tolerance = TOLERANCE if exact else max(TOLERANCE, 8 * torch.finfo(model.dtype).eps)
    expected = _logits(model)
    if not bool(torch.isfinite(expected).all()):
        raise CompressError("the model gives NaN or infinite logits; nothing was saved")
    for way, opened in (("open_model", open_model), ("transformers", _open_plainly)):
        again = opened(folder, model.dtype)
        gap = float((_logits(again) - expected).abs().max())
        if not gap <= tolerance * max(1.0, float(expected.abs().max())):
            raise CompressError(f"opened again by {way}, its logits differ by {gap:.3g}; nothing was saved")


def _open_plainly(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """As a user without this package would. The remote code is the module that we have just written."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=dtype)
    module = Path(inspect.getfile(type(model)))
    if module.name == MODELING:
        # transformers copied it to <its cache>/<folder name>/<hash>/, where nobody would ever need it again.
        shutil.rmtree(module.parents[1], ignore_errors=True)
    return model


@torch.no_grad()
def _logits(model: PreTrainedModel) -> Tensor:
    """(1, 32, vocabulary) for tokens spread over the vocabulary, on the CPU in float32."""
    ids = torch.linspace(0, embedded_tokens(model) - 1, 32).long().unsqueeze(0).to(model.device)
    with evaluating(model):
        logits: Tensor = model(input_ids=ids, use_cache=False).logits.float().cpu()
    return logits


def is_pruned(folder: Path | str) -> bool:
    """Whether this folder was written by `save`."""
    return (Path(folder) / RECEIPT).is_file()


def read_receipt(folder: Path | str) -> Receipt:
    """The receipt beside a pruned model. Raises CompressError if there is none."""
    try:
        return Receipt.from_json((Path(folder) / RECEIPT).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CompressError(f"{Path(folder) / RECEIPT}: cannot read receipt: {error}") from None
