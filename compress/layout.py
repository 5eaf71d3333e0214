"""Layers of different widths in a transformers config, and the class that builds a model from such a config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import AutoModelForCausalLM, MistralConfig, PreTrainedConfig, PreTrainedModel

from compress.blocks import blocks
from compress.errors import CompressError
from compress.families import FAMILIES

Sizes = dict[str, int]
"""Config key -> value, of one layer."""

SOURCE = '''\
"""A {stock} whose decoder layers differ in size: config.json has the sizes under per_layer_config."""

from transformers import {stock}


class {name}({stock}):
    def __init__(self, config):
        super().__init__(config)
        layers = self.model.layers
        for index, layer in enumerate(layers):
            layers[index] = type(layer)(config.per_layer_config[index], index)
            layers[index].self_attn.config = config
        self.post_init()
'''


def sizes(model: PreTrainedModel) -> list[Sizes]:
    """The sizes of every decoder layer, read from its weights."""
    return [
        {
            "intermediate_size": block.channels,
            "num_attention_heads": block.heads,
            "num_key_value_heads": block.kv_heads,
        }
        for block in blocks(model)
    ]


def describe_(config: PreTrainedConfig, layers: Sequence[Sizes], head_dim: int) -> None:
    """Make a config tell the truth about these layers.

    Equal layers: the stock keys. Otherwise transformers' `per_layer_config`, with the stock keys left as they were.
    head_dim is always written: classes derive it from the head count where it is missing.
    """
    values: Any = config
    values.per_layer_config = None
    values.head_dim = head_dim
    if all(layer == layers[0] for layer in layers):
        vars(config).pop("allow_global_per_layer_attribute_access", None)
        for key, value in layers[0].items():
            setattr(config, key, value)
    else:
        # Stock code reads the head count off the whole config while it builds what is then replaced.
        values.allow_global_per_layer_attribute_access = True
        values.per_layer_config = {index: dict(layer) for index, layer in enumerate(layers)}


def acceptable(config: PreTrainedConfig) -> PreTrainedConfig:
    """The config itself, or an equivalent one of another type where its own refuses the head count.

    LlamaConfig wants the hidden size to be a multiple of the head count; Mistral is the same network without biases
    and does not care.
    """
    other = FAMILIES[config.model_type].any_heads_type
    if other is None or config.hidden_size % config.num_attention_heads == 0:
        return config
    if other != "mistral" or config.attention_bias or config.mlp_bias:
        raise CompressError(
            f"no stock class takes {config.num_attention_heads} heads for a hidden size of {config.hidden_size} "
            "with biases; keep another number of kv groups"
        )
    content = config.to_dict()
    for key in ("model_type", "architectures", "pretraining_tp", "attention_bias", "mlp_bias"):
        content.pop(key, None)
    content["sliding_window"] = None
    return MistralConfig(**content)


def stock_class(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """The class that transformers itself has for this config."""
    mapping: Any = AutoModelForCausalLM
    try:
        found: type[PreTrainedModel] = mapping._model_mapping[type(config)]
    except KeyError:
        raise CompressError(f"model_type '{config.model_type}' is no causal language model") from None
    return found


def pruned_class(stock: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """What `source` says, as a class in memory: a `stock` whose layers follow `config.per_layer_config`."""

    class Pruned(stock):  # type: ignore[valid-type, misc]
        def __init__(self, config: PreTrainedConfig) -> None:
            super().__init__(config)
            layers = self.model.layers
            for index, layer in enumerate(layers):
                layers[index] = type(layer)(config.per_layer_config[index], index)
                layers[index].self_attn.config = config
            self.post_init()

    Pruned.__name__ = Pruned.__qualname__ = class_name(stock)
    return Pruned


def source(stock: type[PreTrainedModel]) -> str:
    """Text of the module that a saved folder carries, for those who open it with transformers alone."""
    return SOURCE.format(stock=stock.__name__, name=class_name(stock))


def class_name(stock: type[PreTrainedModel]) -> str:
    """Name of the class in that module."""
    return f"Pruned{stock.__name__}"
