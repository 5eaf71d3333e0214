"""What a transformers config says of pruned layers, and what a folder can say of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from transformers import MistralConfig, PreTrainedConfig, PreTrainedModel

from compress.anatomy.blocks import Block, Projection, blocks
from compress.anatomy.families import family, table
from compress.checkpoints.modelling import stock_layer
from compress.errors import CompressError

Sizes = dict[str, int]
"""Config key -> value, of one layer."""


def sizes(model: PreTrainedModel) -> list[Sizes]:
    """The sizes of every decoder layer, read from its weights."""
    kind = model.config.model_type
    return [layer_sizes(kind, block.channels, block.heads, block.kv_heads) for block in blocks(model)]


def layer_sizes(model_type: str, channels: int, heads: int, kv_heads: int) -> Sizes:
    """The same from numbers. Head counts only where the family can lose heads."""
    keys = table(model_type)
    attention = {"num_attention_heads": heads, "num_key_value_heads": kv_heads} if keys.attention else {}
    return {keys.width_key: channels, **attention}


def describe_(config: PreTrainedConfig, layers: Sequence[Sizes], head_dim: int) -> None:
    """Make a config tell the truth about these layers.

    Equal layers: the stock keys. Otherwise, or where the family's config refuses the head count, transformers'
    `per_layer_config`, with the stock keys left as they were. head_dim is always written where heads can go: classes
    derive it from the head count where it is missing.
    """
    values: Any = config
    values.per_layer_config = None
    if table(config.model_type).attention:
        values.head_dim = head_dim
    equal = copy.copy(config)
    for key, value in layers[0].items():
        setattr(equal, key, value)
    if all(layer == layers[0] for layer in layers) and not (_refused(equal) and _other_type(equal) is None):
        vars(config).pop("allow_global_per_layer_attribute_access", None)
        for key, value in layers[0].items():
            setattr(config, key, value)
    else:
        # Stock code reads the head count off the whole config while it builds what is then replaced.
        values.allow_global_per_layer_attribute_access = True
        values.per_layer_config = {index: dict(layer) for index, layer in enumerate(layers)}


def shorten_(config: PreTrainedConfig, kept: Sequence[int]) -> None:
    """Take layers out of a config; `describe_` has to follow, since sizes of single layers are forgotten."""
    values: Any = config
    values.per_layer_config = None
    for key in table(config.model_type).layer_lists:
        entries = getattr(config, key, None)
        if entries is not None:
            setattr(config, key, [entries[index] for index in kept])
    config.num_hidden_layers = len(kept)


def renew_(model: PreTrainedModel) -> None:
    """Hand the sizes to attention modules that read them while they run."""
    keys = family(model)
    if keys.sizes_in_forward:
        for block in blocks(model):
            attention: Any = block.layer.get_submodule(keys.attention_module)
            attention.config = model.config.per_layer_config[block.index]
            attention.num_key_value_heads = block.kv_heads


def add_bias_(projection: Projection) -> None:
    """Give a Linear that has none a bias of zeros; saving and opening keep it."""
    weight = projection.module.weight
    if projection.module.bias is None:
        projection.module.bias = nn.Parameter(
            weight.new_zeros(projection.out_features), requires_grad=weight.requires_grad
        )


def added_biases(model: PreTrainedModel) -> tuple[str, ...]:
    """Paths of the projections with a bias that the stock class does not give them."""
    path = family(model).layers
    return tuple(
        f"{path}.{block.index}.{projection.name}"
        for block in blocks(model)
        for projection in _with_added_bias(block, stock_layer(model.config, block))
    )


def check_added_biases(config: PreTrainedConfig) -> None:
    """Raise CompressError unless a config names projections of its decoder layers, or nothing."""
    keys, given = table(config.model_type), getattr(config, "added_biases", [])
    known = {f"{keys.layers}.{index}.{name}" for index in range(config.num_hidden_layers) for name in keys.projections}
    if not isinstance(given, list) or not all(isinstance(path, str) and path in known for path in given):
        raise CompressError("config.json: added_biases: expected a list of projections of decoder layers")


def _with_added_bias(block: Block, stock: nn.Module) -> list[Projection]:
    biased = [projection for projection in block.projections if projection.module.bias is not None]
    return [projection for projection in biased if stock.get_submodule(projection.name).bias is None]


def acceptable(config: PreTrainedConfig) -> PreTrainedConfig:
    """The config itself, or an equivalent one of another type where its own refuses the head count.

    LlamaConfig wants the hidden size to be a multiple of the head count; Mistral is the same network without biases
    and does not care.
    """
    other = _other_type(config) if _refused(config) else None
    return config if other is None else other


def _refused(config: PreTrainedConfig) -> bool:
    """Whether its class refuses to open this config for its head count."""
    checked: Any = config
    try:
        checked.validate_architecture()
    except ValueError:
        return True
    return False


def _other_type(config: PreTrainedConfig) -> PreTrainedConfig | None:
    if table(config.model_type).any_heads_type != "mistral" or config.attention_bias or config.mlp_bias:
        return None
    content = config.to_dict()
    for key in ("model_type", "architectures", "pretraining_tp", "attention_bias", "mlp_bias"):
        content.pop(key, None)
    content["sliding_window"] = None
    return MistralConfig(**content)


@dataclass(frozen=True)
class Description:
    """What a saved folder says of its model."""

    config: PreTrainedConfig
    added_biases: tuple[str, ...] = ()
    own_class: bool = False
    """Whether it takes the class of `modelling.source` to build it."""


def description_of(model: PreTrainedModel, layout: Literal["auto", "uniform", "hetero"]) -> Description:
    """What a folder of this layout has to say. Raises CompressError if a stock class is wanted but cannot be had."""
    config, biases = acceptable(model.config), added_biases(model)
    reasons = []
    if config.is_heterogeneous:
        reasons.append(_difference(model))
    if biases:
        reasons.append(f"compensation gave {len(biases)} projections a bias that the stock class has not")
    if layout == "uniform" and reasons:
        raise CompressError(
            f"layout uniform: {'; '.join(reasons)}; in the recipe, equal_layers: true makes layers equal and "
            "compensate: none adds no bias; or take layout auto"
        )
    return Description(config, biases, own_class=bool(reasons) or layout == "hetero")


def _difference(model: PreTrainedModel) -> str:
    for key in sizes(model)[0]:
        values = [layer[key] for layer in sizes(model)]
        if min(values) < max(values):
            return f"{key} differs from layer to layer, {min(values)} to {max(values)}"
    heads = sizes(model)[0]["num_attention_heads"]
    return f"{type(model.config).__name__} refuses {heads} heads for a hidden size of {model.config.hidden_size}"
