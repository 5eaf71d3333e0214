"""Where each model family keeps its Linears, as tables; Block: one decoder layer seen only through them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from compress.errors import CompressError


@dataclass(frozen=True)
class Family:
    """Module paths of one `model_type`. Paths below the decoder layer are relative to it."""

    layers: str = "model.layers"
    queries: str = "self_attn.q_proj"
    keys: str = "self_attn.k_proj"
    values: str = "self_attn.v_proj"
    attention_out: str = "self_attn.o_proj"
    gate: str = "mlp.gate_proj"
    up: str = "mlp.up_proj"
    mlp_out: str = "mlp.down_proj"
    any_heads_type: str | None = None
    """A bias-free model_type with the same weights whose config takes any head count; None: its own does."""


FAMILIES = {
    "llama": Family(any_heads_type="mistral"),
    "mistral": Family(),
    "qwen2": Family(),
    "qwen3": Family(),
}


@dataclass(frozen=True)
class Block:
    """One decoder layer; weights are (out, in) as in nn.Linear, sizes are read from the weights."""

    index: int
    layer: nn.Module
    queries: nn.Linear
    """Rows are query-head channels."""
    keys: nn.Linear
    values: nn.Linear
    attention_out: nn.Linear
    """Columns are query-head channels."""
    gate: nn.Linear
    """Rows are FFN channels."""
    up: nn.Linear
    mlp_out: nn.Linear
    """Columns are FFN channels."""
    head_dim: int

    @property
    def hidden(self) -> int:
        """Width of the residual stream."""
        return self.mlp_out.out_features

    @property
    def channels(self) -> int:
        """FFN channels."""
        return self.mlp_out.in_features

    @property
    def heads(self) -> int:
        """Query heads."""
        return self.queries.out_features // self.head_dim

    @property
    def kv_heads(self) -> int:
        """Key-value heads, which is the number of kv groups."""
        return self.keys.out_features // self.head_dim

    @property
    def linears(self) -> tuple[nn.Linear, ...]:
        """All Linears whose weights `r_block` counts."""
        return (self.queries, self.keys, self.values, self.attention_out, self.gate, self.up, self.mlp_out)

    @property
    def group_weights(self) -> int:
        """Weights that one kv group takes along: rows of q, k, v and columns of o."""
        return 2 * self.hidden * self.head_dim * (self.heads // self.kv_heads + 1)

    @property
    def channel_weights(self) -> int:
        """Weights that one FFN channel takes along: a row of gate and up, a column of down."""
        return 3 * self.hidden


def blocks(model: PreTrainedModel) -> list[Block]:
    """All decoder layers of a model.

    Raises CompressError for a family that is not in the table, and for layers that are not plain Linears.
    """
    kind = model.config.model_type
    family = FAMILIES.get(kind)
    if family is None:
        raise CompressError(f"model family '{kind}' is not supported; known families: {', '.join(sorted(FAMILIES))}")
    found = [_block(index, layer, family, head_dim(model)) for index, layer in enumerate(decoder_layers(model))]
    if not found:
        raise CompressError("the model has no decoder layers")
    return found


def decoder_layers(model: PreTrainedModel) -> nn.ModuleList:
    """The list of decoder layers of a model of a known family."""
    layers = model.get_submodule(FAMILIES[model.config.model_type].layers)
    if not isinstance(layers, nn.ModuleList):
        raise CompressError(f"expected a list of decoder layers, found {type(layers).__name__}")
    return layers


def head_dim(model: PreTrainedModel) -> int:
    """Channels of one attention head; the same in all layers, and never cut, since RoPE pairs them."""
    config = model.config
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _block(index: int, layer: nn.Module, family: Family, head_dim: int) -> Block:
    def linear(path: str) -> nn.Linear:
        module = layer.get_submodule(path)
        if type(module) is not nn.Linear:
            raise CompressError(f"layer {index}: {path} is a {type(module).__name__}; only plain Linear can be cut")
        return module

    try:
        block = Block(
            index=index,
            layer=layer,
            queries=linear(family.queries),
            keys=linear(family.keys),
            values=linear(family.values),
            attention_out=linear(family.attention_out),
            gate=linear(family.gate),
            up=linear(family.up),
            mlp_out=linear(family.mlp_out),
            head_dim=head_dim,
        )
    except AttributeError as error:
        raise CompressError(f"layer {index} is not laid out like its family: {error}") from None
    _check_sizes(block)
    return block


def _check_sizes(block: Block) -> None:
    """Refuse a layer whose Linears do not fit each other."""
    queries, keys = block.queries.out_features, block.keys.out_features
    fits = (
        queries % block.head_dim == 0
        and keys % block.head_dim == 0
        and keys > 0
        and queries % keys == 0
        and block.values.out_features == keys
        and block.attention_out.in_features == queries
        and block.gate.out_features == block.up.out_features == block.mlp_out.in_features
    )
    if not fits:
        sizes = ", ".join(f"{linear.out_features}x{linear.in_features}" for linear in block.linears)
        raise CompressError(
            f"layer {block.index}: q, k, v, o, gate, up, down of {sizes} do not fit heads of {block.head_dim} channels"
        )
