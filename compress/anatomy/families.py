"""Where each model family keeps its Linears, as tables."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Whether its attention works with fewer heads of the same size; False: kv groups are left alone."""
    any_heads_type: str | None = None
    """A bias-free model_type with the same weights whose config takes any head count; None: its own does."""
    width_key: str = "intermediate_size"
    """Config key of the FFN width."""
    layer_lists: tuple[str, ...] = ("layer_types",)
    """Config keys that may hold one entry a layer."""
    sizes_in_forward: bool = False
    """Its attention reads head counts off its config while it runs, so every layer's has a config of its own."""

    @property
    def attention_module(self) -> str:
        """Path of the module around `attention_out`."""
        return self.attention_out.rpartition(".")[0]

    @property
    def projections(self) -> frozenset[str]:
        """Paths of all Linears."""
        return frozenset((self.queries, self.keys, self.values, self.attention_out, *self.ffn_in, self.mlp_out))


FAMILIES = {
    "apertus": Family(ffn_in=("mlp.up_proj",)),
    "arcee": Family(ffn_in=("mlp.up_proj",)),
    "cohere": Family(),
    "cohere2": Family(),
    "ernie4_5": Family(),
    "exaone4": Family(),
    "gemma": Family(),
    "gemma2": Family(),
    "gemma3_text": Family(),
    "glm": Family(ffn_in=("mlp.gate_up_proj", "mlp.gate_up_proj")),
    "glm4": Family(ffn_in=("mlp.gate_up_proj", "mlp.gate_up_proj")),
    "gpt2": Family(
        layers="transformer.h",
        queries="attn.c_attn",
        keys="attn.c_attn",
        values="attn.c_attn",
        attention_out="attn.c_proj",
        ffn_in=("mlp.c_fc",),
        mlp_out="mlp.c_proj",
        # The size of a head is the hidden size by their number.
        attention=False,
        width_key="n_inner",
    ),
    "gpt_neox": Family(
        layers="gpt_neox.layers",
        queries="attention.query_key_value",
        keys="attention.query_key_value",
        values="attention.query_key_value",
        interleaved=True,
        attention_out="attention.dense",
        ffn_in=("mlp.dense_h_to_4h",),
        mlp_out="mlp.dense_4h_to_h",
        # As for GPT-2.
        attention=False,
    ),
    "granite": Family(),
    # Its attention puts out as many channels as it reads.
    "helium": Family(attention=False),
    "hunyuan_v1_dense": Family(),
    "jais2": Family(ffn_in=("mlp.up_proj",)),
    "llama": Family(any_heads_type="mistral"),
    "ministral": Family(),
    "mistral": Family(),
    "nemotron": Family(ffn_in=("mlp.up_proj",)),
    "olmo": Family(),
    # Its norms of q and k run over all heads.
    "olmo2": Family(attention=False),
    # As for OLMo 2.
    "olmo3": Family(attention=False),
    "opt": Family(
        layers="model.decoder.layers",
        attention_out="self_attn.out_proj",
        ffn_in=("fc1",),
        mlp_out="fc2",
        # As for GPT-2.
        attention=False,
        width_key="ffn_dim",
    ),
    "phi": Family(attention_out="self_attn.dense", ffn_in=("mlp.fc1",), mlp_out="mlp.fc2"),
    "phi3": Family(
        queries="self_attn.qkv_proj",
        keys="self_attn.qkv_proj",
        values="self_attn.qkv_proj",
        ffn_in=("mlp.gate_up_proj", "mlp.gate_up_proj"),
        sizes_in_forward=True,
    ),
    "qwen2": Family(),
    "qwen3": Family(),
    "seed_oss": Family(),
    "smollm3": Family(layer_lists=("layer_types", "no_rope_layers")),
    # As for GPT-2.
    "stablelm": Family(attention=False),
    "starcoder2": Family(ffn_in=("mlp.c_fc",), mlp_out="mlp.c_proj"),
}


def table(model_type: str) -> Family:
    """The table of a model_type. Raises CompressError for one that has none."""
    if model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise CompressError(f"model family '{model_type}' is not supported; known families: {known}")
    return FAMILIES[model_type]


def family(model: PreTrainedModel) -> Family:
    """The table of a model. Raises CompressError for a family that has none."""
    return table(model.config.model_type)


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
