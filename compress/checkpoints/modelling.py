"""The class that builds a model from the config of pruned layers: as text for a saved folder, and in memory."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from compress.anatomy.blocks import Block, block_of, blocks
from compress.anatomy.families import family, table
from compress.errors import CompressError

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


def check_groups(model: PreTrainedModel) -> None:
    """Raise CompressError if kv groups of this model cannot be removed, by its family or by what its config adds."""
    if not family(model).attention or not _built_with_one_group(model):
        raise CompressError(
            f"kv groups of family '{model.config.model_type}' cannot be removed: its attention depends on the number "
            "of heads; set attention: false"
        )


def _built_with_one_group(model: PreTrainedModel) -> bool:
    """Whether transformers builds the first layer for a config of one group, with all else as it is here."""
    block = blocks(model)[0]
    config: Any = copy.copy(model.config.per_layer_config[0])
    config.head_dim, config.num_key_value_heads = block.head_dim, 1
    config.num_attention_heads = block.heads // block.kv_heads
    kind: Any = type(block.layer)
    try:
        with torch.device("meta"):
            layer = kind(config, 0)
        small = block_of(0, layer, family(model), block.head_dim)
    except (CompressError, ValueError):
        return False
    return small.kv_heads == 1 and small.heads == config.num_attention_heads and _beside(small) == _beside(block)


def _beside(block: Block) -> dict[str, torch.Size]:
    """Sizes of what a layer has besides its projections."""
    ours = tuple(f"{projection.name}." for projection in block.projections)
    return {name: it.shape for name, it in block.layer.named_parameters() if not name.startswith(ours)}


def stock_layer(config: PreTrainedConfig, block: Block) -> nn.Module:
    """The decoder layer that transformers builds for this config; without weights."""
    kind: Any = type(block.layer)
    with torch.device("meta"):
        layer: nn.Module = kind(config.per_layer_config[block.index], block.index)
    return layer
