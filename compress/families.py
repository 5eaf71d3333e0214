"""Where each model family keeps its Linears, as tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn
from transformers import PreTrainedModel

from compress.errors import CompressError


@dataclass(frozen=True)
class Family:
    """Module paths of one `model_type`. Paths below the decoder layer are relative to it.

    Entries with the same path share one fused module, their rows standing one after the other in this order.
    """

    layers: str = "model.layers"
    queries: str = "self_attn.q_proj"
    keys: str = "self_attn.k_proj"
    values: str = "self_attn.v_proj"
    interleaved: bool = False
    """The fused q, k and v alternate head by head instead."""
    attention_out: str = "self_attn.o_proj"
    ffn_in: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj")
    """What reads the residual stream into FFN channels: gate and up, or one of them."""
    mlp_out: str = "mlp.down_proj"
    attention: bool = True
    """Whether the stock class can be built with another number of heads; False: kv groups are left alone."""
    any_heads_type: str | None = None
    """A bias-free model_type with the same weights whose config takes any head count; None: its own does."""
    width_key: str = "intermediate_size"
    """Config key of the FFN width."""
    layer_lists: tuple[str, ...] = field(default=("layer_types",))
    """Config keys that hold one entry a layer."""


FAMILIES = {
    "llama": Family(any_heads_type="mistral"),
    "mistral": Family(),
    "qwen2": Family(),
    "qwen3": Family(),
}


def family(model: PreTrainedModel) -> Family:
    """The table of a model. Raises CompressError for a family that has none."""
    kind = model.config.model_type
    if kind not in FAMILIES:
        raise CompressError(f"model family '{kind}' is not supported; known families: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[kind]


def decoder_layers(model: PreTrainedModel) -> nn.ModuleList:
    """The list of decoder layers of a model of a known family."""
    layers = model.get_submodule(family(model).layers)
    if not isinstance(layers, nn.ModuleList):
        raise CompressError(f"expected a list of decoder layers, found {type(layers).__name__}")
    return layers


def head_dim(model: PreTrainedModel) -> int:
    """Channels of one attention head; the same in all layers, and never cut, since RoPE pairs them."""
    config = model.config
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
