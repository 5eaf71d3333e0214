"""What a transformers config says of pruned layers, and the class that builds a model from such a config."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import AutoModelForCausalLM, MistralConfig, PreTrainedConfig, PreTrainedModel

from compress.blocks import Block, Projection, blocks
from compress.errors import CompressError
from compress.families import family, table

Sizes = dict[str, int]
"""Config key -> value, of one layer."""

SOURCE = '''\
"""A {stock} whose decoder layers follow what config.json says under per_layer_config and added_biases."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import {stock}, PreTrainedModel


{follow}

class {name}({stock}):
    def __init__(self, config):
        super().__init__(config)
        follow_config_(self, "{layers}", {attention!r})
        self.post_init()
'''


def follow_config_(model: PreTrainedModel, layers: str, attention: str | None) -> None:
    """Build every decoder layer as its own config says, and add the biases that the stock class lacks.

    layers: path of their list. attention: path below a layer of the module that takes the config of the whole model,
    so that settings made there later reach it.
    """
    config, stack = model.config, model.get_submodule(layers)
    assert isinstance(stack, nn.ModuleList)
    for index, layer in enumerate(stack):
        stack[index] = type(layer)(config.per_layer_config[index], index)
        if attention is not None:
            attending: Any = stack[index].get_submodule(attention)
            attending.config = config
    for path in getattr(config, "added_biases", ()):
        module = model.get_submodule(path)
        assert isinstance(module, nn.Linear)
        module.bias = nn.Parameter(module.weight.new_zeros(module.out_features))


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


def stock_layer(config: PreTrainedConfig, block: Block) -> nn.Module:
    """The decoder layer that transformers builds for this config; without weights."""
    kind: Any = type(block.layer)
    with torch.device("meta"):
        layer: nn.Module = kind(config.per_layer_config[block.index], block.index)
    return layer


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
    """Whether it takes the class of `source` to build it."""


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
            f"layout uniform: {'; '.join(reasons)}; set equal_layers: true (and compensate: none) in the recipe, or "
            "take layout auto or padded"
        )
    return Description(config, biases, own_class=bool(reasons) or layout == "hetero")


def _difference(model: PreTrainedModel) -> str:
    for key in sizes(model)[0]:
        values = [layer[key] for layer in sizes(model)]
        if min(values) < max(values):
            return f"{key} differs from layer to layer, {min(values)} to {max(values)}"
    return f"{type(model.config).__name__} refuses {sizes(model)[0]['num_attention_heads']} heads"


def stock_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class that transformers itself has for this config."""
    mapping: Any = AutoModelForCausalLM
    try:
        found: type[PreTrainedModel] = mapping._model_mapping[type(config)]
    except KeyError:
        raise CompressError(f"model_type '{config.model_type}' is no causal language model") from None
    return found


def pruned_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """What `source` says, as a class in memory."""
    stock, keys = stock_class(config), table(config.model_type)
    attention = None if keys.sizes_in_forward else keys.attention_module

    class Pruned(stock):  # type: ignore[valid-type, misc]
        def __init__(self, config: PreTrainedConfig) -> None:
            super().__init__(config)
            follow_config_(self, keys.layers, attention)
            self.post_init()

    Pruned.__name__ = Pruned.__qualname__ = class_name(stock)
    return Pruned


def source(config: PreTrainedConfig) -> str:
    """Text of the module that a saved folder carries, for those who open it with transformers alone."""
    stock, keys = stock_class(config), table(config.model_type)
    return SOURCE.format(
        stock=stock.__name__,
        name=class_name(stock),
        follow=inspect.getsource(follow_config_),
        layers=keys.layers,
        attention=None if keys.sizes_in_forward else keys.attention_module,
    )


def class_name(stock: type[PreTrainedModel]) -> str:
    """Name of the class in that module."""
    return f"Pruned{stock.__name__}"
