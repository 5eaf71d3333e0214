"""LoRA adapters; the only file that knows peft."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compress.anatomy.blocks import blocks
from compress.errors import CompressError

WEIGHTS = "adapter_model.safetensors"
NAME = "default"
SCALE = 2
"""alpha by rank: the same for every layer, so that a rank changes capacity and not step size."""


def merged(model: PreTrainedModel, adapter_folder: Path | str) -> PreTrainedModel:
    """Load a LoRA adapter and add it into the weights of `model`, which is changed in place and returned.

    Raises CompressError if the adapter does not fit: peft itself loads one made for other layers without a word.
    """
    result: PreTrainedModel = put_on_(model, adapter_folder).merge_and_unload()
    return result


def put_on_(model: PreTrainedModel, adapter_folder: Path | str) -> PeftModel:
    """Load a LoRA adapter into `model`, beside its weights. Raises CompressError if it does not fit."""
    folder = Path(adapter_folder)
    for name in ("adapter_config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise CompressError(f"{folder}: not a LoRA adapter: no {name}")
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            stored = set(file.keys())
        adapted = PeftModel.from_pretrained(model, str(folder), local_files_only=True)
    except (SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CompressError(f"{folder}: the adapter does not fit the model: {' '.join(str(error).split())}") from None
    wanted = set(get_peft_model_state_dict(adapted))
    if stored != wanted:
        strange = sorted(stored ^ wanted)
        raise CompressError(f"{folder}: the adapter does not fit the model: {strange[0]} ({len(strange)} such weights)")
    return adapted


@dataclass(frozen=True)
class Adapter:
    """The LoRA update of one projection."""

    layer: int
    """Decoder layer."""
    module: LoraLayer

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """((rank, in), (out, rank)); the update of the weight is second @ first."""
        first, second = self.module.lora_A[NAME].weight.detach(), self.module.lora_B[NAME].weight.detach()
        return first.float(), second.float() * self.module.scaling[NAME]

    @property
    def weight(self) -> Tensor:
        """The weight that is updated, detached, (out, in) or its transpose."""
        weight: Tensor = self.module.get_base_layer().weight
        return weight.detach()

    def singular_values(self) -> Tensor:
        """(rank,) of the update, in float32; the update itself is never built."""
        first, second = self.factors
        left, right = torch.linalg.qr(second).R, torch.linalg.qr(first.T).R
        values: Tensor = torch.linalg.svdvals(left @ right.T)
        return values


class Adapters:
    """LoRA adapters on every projection of a model's decoder layers; the model is changed in place."""

    def __init__(self, model: PreTrainedModel, adapted: PeftModel, names: Mapping[str, int]) -> None:
        """names: module path -> decoder layer."""
        self.model = model
        self._adapted = adapted
        modules = dict(model.named_modules())
        self.all = tuple(Adapter(layer, modules[name]) for name, layer in names.items())

    @contextmanager
    def without(self, layer: int) -> Iterator[None]:
        """Inside, those of one decoder layer are switched off."""
        mine = [adapter.module for adapter in self.all if adapter.layer == layer]
        scales = [module.scaling[NAME] for module in mine]
        for module in mine:
            module.scaling[NAME] = 0.0
        try:
            yield
        finally:
            for module, scale in zip(mine, scales, strict=True):
                module.scaling[NAME] = scale

    def merge_(self, masked: bool = False) -> None:
        """Add every update to its weight and remove the adapters.

        masked: weights that are zero stay zero, so that a pattern of zeros survives.
        """
        kept = [adapter.weight != 0 for adapter in self.all] if masked else []
        weights = [adapter.module.get_base_layer() for adapter in self.all]
        self._adapted.merge_and_unload()
        with torch.no_grad():
            for module, keep in zip(weights, kept, strict=masked):
                module.weight.mul_(keep)
        self._free()

    def remove_(self) -> None:
        """The weights are as they were."""
        self._adapted.unload()
        self._free()

    def save(self, folder: Path) -> None:
        """Write a folder that plain peft opens on the pruned model. Raises CompressError on a full disk."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # peft cannot look at the base model's config, which has no address
                self._adapted.save_pretrained(str(folder))
        except (OSError, SafetensorError) as error:
            raise CompressError(
                f"{folder}: cannot save the adapter: {getattr(error, 'strerror', None) or error}"
            ) from None

    def _free(self) -> None:
        """Forget what peft left in the model, so that the next adapters are its first."""
        for left in ("peft_config", "_hf_peft_config_loaded"):
            vars(self.model).pop(left, None)
        for value in self.model.parameters():
            value.requires_grad_(True)


def attach_(model: PreTrainedModel, ranks: Sequence[int], seed: int) -> Adapters:
    """LoRA (arXiv 2106.09685) on every projection of every decoder layer; only they require gradients then.

    ranks: by decoder layer. Their first factor is drawn with `seed`, their second is zero.
    """
    return _put_on_(model, {name: int(ranks[layer]) for name, layer in projection_names(model).items()}, seed)


def attached(model: PreTrainedModel, factors: Mapping[str, tuple[Tensor, Tensor]]) -> Adapters:
    """Adapters with given updates. factors: module path -> ((rank, in), (out, rank)), the update is second @ first."""
    found = _put_on_(model, {name: len(first) for name, (first, _) in factors.items()}, seed=0)
    with torch.no_grad():
        for (first, second), adapter in zip(factors.values(), found.all, strict=True):
            adapter.module.lora_A[NAME].weight.copy_(first)
            adapter.module.lora_B[NAME].weight.copy_(second / adapter.module.scaling[NAME])
    return found


def _put_on_(model: PreTrainedModel, ranks: Mapping[str, int], seed: int) -> Adapters:
    """ranks: by module path, for some or all projections."""
    layers = projection_names(model)
    paths = {name.replace(".", r"\."): rank for name, rank in ranks.items()}
    config = LoraConfig(
        r=max(paths.values()),
        lora_alpha=SCALE * max(paths.values()),
        target_modules=list(ranks),
        rank_pattern=paths,
        alpha_pattern={path: SCALE * rank for path, rank in paths.items()},
        fan_in_fan_out=isinstance(model.get_submodule(next(iter(ranks))), Conv1D),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        adapted = get_peft_model(model, config)
    return Adapters(model, adapted, {name: layers[name] for name in ranks})


def projection_names(model: PreTrainedModel) -> dict[str, int]:
    """Module path of every projection -> its decoder layer."""
    layers = {id(projection.module): block.index for block in blocks(model) for projection in block.projections}
    return {name: layers[id(module)] for name, module in model.named_modules() if id(module) in layers}


def effective_rank(values: Tensor) -> float:
    """exp of the entropy of normalised singular values (Roy and Vetterli, 2007); 0 where all are zero."""
    if float(values.sum()) == 0.0:
        return 0.0
    shares = values / values.sum()
    return math.exp(float(torch.special.entr(shares).sum()))
