"""Block: one decoder layer, seen only through the rows and columns that its channels and kv groups own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from compress.anatomy.families import Family, decoder_layers, family, head_dim
from compress.errors import CompressError


@dataclass(frozen=True)
class Projection:
    """One Linear, or GPT-2's Conv1D, read as (out, in) whichever way it is stored."""

    name: str
    """Its path below the decoder layer."""
    module: nn.Linear | Conv1D

    @property
    def transposed(self) -> bool:
        """Stored as (in, out)."""
        return isinstance(self.module, Conv1D)

    @property
    def weight(self) -> Tensor:
        """(out, in), a detached view: what is written into it is written into the model."""
        weight = self.module.weight.detach()
        return weight.T if self.transposed else weight

    @property
    def out_features(self) -> int:
        """Rows."""
        return int(self.weight.shape[0])

    @property
    def in_features(self) -> int:
        """Columns."""
        return int(self.weight.shape[1])


@dataclass(frozen=True)
class Part:
    """The rows (axis 0) or columns (axis 1) of one projection that belong to units: FFN channels or kv groups."""

    name: str
    """q, k, v, o, up, gate or down."""
    projection: Projection
    axis: int
    index: Tensor
    """(units, each): the rows or columns of every unit."""

    @property
    def weights_each(self) -> int:
        """Weights that one unit owns here."""
        return int(self.index.shape[1]) * int(self.projection.weight.shape[1 - self.axis])

    def owned(self, matrix: Tensor) -> Tensor:
        """matrix: (out, in), the weight or anything of its shape. Returns (units, each, other side), a copy."""
        lines = matrix if self.axis == 0 else matrix.T
        return lines[self.index.to(matrix.device)]

    @property
    def weight(self) -> Tensor:
        """(units, each, other side), a copy of the weights."""
        return self.owned(self.projection.weight)


@dataclass(frozen=True)
class Block:
    """One decoder layer; all sizes are read from the weights."""

    index: int
    layer: nn.Module
    head_dim: int
    channel_parts: tuple[Part, ...]
    """Of the FFN channels: the rows that read the residual stream, then the columns of mlp_out."""
    group_parts: tuple[Part, ...]
    """Of the kv groups: rows of q, k and v, then the columns of attention_out."""

    @property
    def mlp_out(self) -> Projection:
        """Columns are FFN channels."""
        return self.channel_parts[-1].projection

    @property
    def attention_out(self) -> Projection:
        """Columns are query-head channels."""
        return self.group_parts[-1].projection

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
        return self.attention_out.in_features // self.head_dim

    @property
    def kv_heads(self) -> int:
        """Key-value heads, which is the number of kv groups."""
        return int(self.group_parts[0].index.shape[0])

    @property
    def projections(self) -> tuple[Projection, ...]:
        """All modules whose weights `r_block` counts, each once: attention first."""
        named = {part.projection.name: part.projection for part in (*self.group_parts, *self.channel_parts)}
        return tuple(named.values())

    @property
    def weights(self) -> int:
        """Weights in all projections; biases are not counted."""
        return sum(projection.weight.numel() for projection in self.projections)

    @property
    def group_weights(self) -> int:
        """Weights that one kv group takes along."""
        return sum(part.weights_each for part in self.group_parts)

    @property
    def channel_weights(self) -> int:
        """Weights that one FFN channel takes along."""
        return sum(part.weights_each for part in self.channel_parts)


def blocks(model: PreTrainedModel) -> list[Block]:
    """All decoder layers of a model.

    Raises CompressError for a family that has no table, and for layers that are not plain Linears.
    """
    table, size = family(model), head_dim(model)
    found = [block_of(index, layer, table, size) for index, layer in enumerate(decoder_layers(model))]
    if not found:
        raise CompressError("the model has no decoder layers")
    return found


def block_of(index: int, layer: nn.Module, table: Family, head_dim: int) -> Block:
    """One decoder layer of a family, with or without weights. Raises CompressError as `blocks` does."""

    def projection(path: str) -> Projection:
        module = layer.get_submodule(path)
        if type(module) not in (nn.Linear, Conv1D):
            raise CompressError(f"layer {index}: {path} is a {type(module).__name__}; only plain Linear can be cut")
        assert isinstance(module, nn.Linear | Conv1D)
        return Projection(path, module)

    fused = (table.queries, table.keys, table.values)
    try:
        mlp_out, attention_out = projection(table.mlp_out), projection(table.attention_out)
        modules = {path: projection(path) for path in (*fused, *table.ffn_in)}
    except AttributeError as error:
        raise CompressError(f"layer {index} is not laid out like its family: {error}") from None
    channels, queries = mlp_out.in_features, attention_out.in_features
    keys = _key_rows(modules, table, queries)
    if keys <= 0 or keys % head_dim or queries % keys:
        sizes = ", ".join(f"{p.out_features}x{p.in_features}" for p in (*modules.values(), attention_out, mlp_out))
        raise CompressError(f"layer {index}: weights of {sizes} do not fit heads of {head_dim} channels")
    units = keys // head_dim
    attention = _rows(fused, [queries, keys, keys], units, table.interleaved)
    readers = _rows(table.ffn_in, [channels] * len(table.ffn_in), channels, False)
    names = ("gate", "up")[-len(readers) :]
    block = Block(
        index=index,
        layer=layer,
        head_dim=head_dim,
        channel_parts=(
            *(Part(name, modules[path], 0, rows) for name, (path, rows) in zip(names, readers, strict=True)),
            Part("down", mlp_out, 1, torch.arange(channels).unsqueeze(1)),
        ),
        group_parts=(
            *(Part(name, modules[path], 0, rows) for name, (path, rows) in zip("qkv", attention, strict=True)),
            Part("o", attention_out, 1, torch.arange(queries).view(units, -1)),
        ),
    )
    _check_sizes(block)
    return block


def _key_rows(modules: dict[str, Projection], table: Family, queries: int) -> int:
    """Rows of k: the module's own, or, where q, k and v share one, half of what q leaves."""
    rows = modules[table.keys].out_features
    return rows if table.keys != table.queries else (rows - queries) // 2


def _rows(paths: tuple[str, ...], sizes: list[int], units: int, interleaved: bool) -> list[tuple[str, Tensor]]:
    """For every entry: its path and the (units, each) rows that it owns there."""
    found, ends = [], dict.fromkeys(paths, 0)
    for path, size in zip(paths, sizes, strict=True):
        each = size // units
        rows = torch.arange(size).view(units, each)
        if interleaved:
            whole = sum(sizes) // units
            rows = torch.arange(units).unsqueeze(1) * whole + torch.arange(each) + ends[path]
            ends[path] += each
        else:
            rows = rows + ends[path]
            ends[path] += size
        found.append((path, rows))
    return found


def _check_sizes(block: Block) -> None:
    """Refuse a layer whose weights do not fit each other: every row belongs to exactly one unit."""
    owned: dict[tuple[str, int], list[Tensor]] = {}
    for part in (*block.group_parts, *block.channel_parts):
        owned.setdefault((part.projection.name, part.axis), []).append(part.index.flatten())
    named = {projection.name: projection for projection in block.projections}
    for (name, axis), parts in owned.items():
        lines, size = torch.cat(parts).sort().values, named[name].weight.shape[axis]
        if not torch.equal(lines, torch.arange(size)):
            raise CompressError(
                f"layer {block.index}: {name} has {size} {('rows', 'columns')[axis]}, "
                f"but channels and heads account for {len(lines)}"
            )


def check_outside(model: PreTrainedModel) -> None:
    """Raise CompressError naming a weight that belongs to no decoder layer and is NaN or infinite."""
    inside = f"{family(model).layers}."
    _check_weights("", ((name, it) for name, it in model.named_parameters() if not name.startswith(inside)))


def check_finite(found: Iterable[Block]) -> None:
    """Raise CompressError naming the first layer with a weight, of a norm and a bias too, that is NaN or infinite."""
    for block in found:
        _check_weights(f"layer {block.index}: ", block.layer.named_parameters())


def _check_weights(where: str, named: Iterable[tuple[str, Tensor]]) -> None:
    for name, weight in named:
        if not bool(torch.isfinite(weight).all()):
            raise CompressError(f"{where}a weight is NaN or infinite: {name}")
