"""A model whose decoder layers stay in their folder, and are in memory only while they are worked on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights  # type: ignore[import-untyped]
from safetensors import safe_open
from torch import nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from compress.anatomy.blocks import Block, blocks
from compress.anatomy.families import family, table
from compress.checkpoints.checkpoint import tied_names
from compress.checkpoints.opening import check_report, described, weight_files
from compress.costs import give_back
from compress.streaming.shards import Stored


@dataclass(frozen=True)
class Skeleton:
    """A model without its decoder layers' weights, and where these are."""

    model: PreTrainedModel
    stored: Stored

    def blocks(self) -> list[Block]:
        """All decoder layers; their sizes are right, their weights are on "meta"."""
        return blocks(self.model)

    @contextmanager
    def loaded(self, block: Block) -> Iterator[None]:
        """Inside, this layer has its weights; what was changed about them is lost afterwards."""
        prefix = layer_prefix(self.model, block.index)
        weights = self.stored.read((prefix + name for name in block.layer.state_dict()), self.model.dtype)
        block.layer.load_state_dict({name.removeprefix(prefix): it for name, it in weights.items()}, assign=True)
        del weights
        try:
            yield
        finally:
            empty_(block.layer)
            give_back()

    @property
    def outside(self) -> list[str]:
        """Names of the weights to store that belong to no decoder layer: embeddings, last norm, head."""
        inside = f"{family(self.model).layers}."
        tied = tied_names(self.model)
        return [name for name in self.model.state_dict() if not name.startswith(inside) and name not in tied]


def opened(folder: Path, dtype: torch.dtype | None = None, kind: Any = None) -> Skeleton:
    """Open a model folder but for its decoder layers; never runs code from the folder.

    dtype: None keeps that of the weights. kind: None takes the class that config.json asks for.
    Raises CompressError as `open_model` does.
    """
    files = weight_files(folder)
    config, known = described(folder)
    table(config.model_type)
    dtype = dtype or _dtype(config, files[0])
    model = bare(config, kind or known, dtype)
    stored = Stored(folder, model.base_model_prefix)
    if _has_own_head(model, stored):
        config.tie_word_embeddings = False
        model = bare(config, kind or known, dtype)
    skeleton = Skeleton(model, stored)
    _check(skeleton)
    model.load_state_dict(stored.read(skeleton.outside, model.dtype), strict=False, assign=True)
    model.tie_weights()
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return skeleton


def _has_own_head(model: PreTrainedModel, stored: Stored) -> bool:
    """Whether the folder has other weights under a name that its config calls tied; transformers then unties it."""
    for name in tied_names(model):
        source = model.all_tied_weights_keys[name]
        if stored.name_of(name) is not None and stored.name_of(source) is not None:
            found = stored.read([name, source], model.dtype)
            if not torch.equal(found[name], found[source]):
                return True
    return False


def bare(config: PreTrainedConfig, kind: Any, dtype: torch.dtype) -> PreTrainedModel:
    """A `kind` in evaluation mode with every parameter on "meta"; buffers, which no folder holds, are real."""
    with no_init_weights(), init_empty_weights():
        model: PreTrainedModel = kind._from_config(config, dtype=dtype).eval()
    model.tie_weights()
    return model


def layer_prefix(model: PreTrainedModel, index: int) -> str:
    """What the names of one decoder layer's weights begin with."""
    return f"{family(model).layers}.{index}."


def empty_(layer: nn.Module) -> None:
    """Forget the weights of a layer, not their sizes."""
    for module in layer.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad))


def _dtype(config: PreTrainedConfig, path: Path) -> torch.dtype:
    """What config.json says, or else that of the first weight that is no integer."""
    if isinstance(config.dtype, torch.dtype):
        return config.dtype
    with safe_open(path, framework="pt") as file:
        dtypes = (file.get_tensor(name).dtype for name in sorted(file.keys()))
        return next((dtype for dtype in dtypes if dtype.is_floating_point), torch.float32)


def _check(skeleton: Skeleton) -> None:
    """Refuse a folder that has not exactly the weights that its config.json wants."""
    stored, tied = skeleton.stored, tied_names(skeleton.model)
    wanted = {name: tuple(it.shape) for name, it in skeleton.model.state_dict().items() if name not in tied}
    found = {name: stored.name_of(name) for name in wanted}
    known = set(found.values()) | {stored.name_of(name) for name in tied}
    sizes = {name: stored.shapes[own] for name, own in found.items() if own is not None}
    report = {
        "mismatched_keys": {(name, size, wanted[name]) for name, size in sizes.items() if size != wanted[name]},
        "missing_keys": set(wanted) - set(sizes),
        "unexpected_keys": set(stored.shapes) - known,
    }
    check_report(stored.folder, report)
