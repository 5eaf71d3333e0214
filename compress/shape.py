"""Shape: what stays in each decoder layer. JSON, and complete before a weight is touched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

from compress.errors import CompressError

Layout = Literal["auto", "uniform", "hetero", "padded"]
"""How a folder holds layers of different sizes.

auto: uniform where it can be, else hetero. uniform: as a stock model. hetero: with a modelling file. padded: as a stock
model of the sizes before the cut, filled with zeros.
"""


@dataclass(frozen=True)
class LayerShape:
    """What one decoder layer keeps, and what it had.

    channels, groups: ascending indices into the layer as it was before the cut. Nothing kept of both means that the
    whole layer goes.
    """

    channels: tuple[int, ...]
    """FFN channels kept."""
    groups: tuple[int, ...]
    """kv groups kept; a group is one key-value head with the query heads that read it."""
    intermediate: int
    """FFN channels before the cut."""
    heads: int
    """Query heads before the cut."""
    kv_heads: int
    """kv groups before the cut."""

    @property
    def dropped(self) -> bool:
        """Whether the whole layer goes."""
        return not self.channels and not self.groups

    @property
    def kept_heads(self) -> int:
        """Query heads that stay."""
        return len(self.groups) * (self.heads // self.kv_heads)


@dataclass(frozen=True)
class Shape:
    """What stays of a model, layer by layer; cut, checkpoint and report all read this."""

    hidden: int
    head_dim: int
    layers: tuple[LayerShape, ...]

    def __post_init__(self) -> None:
        for index, layer in enumerate(self.layers):
            _check_indices(f"layer {index}: channels", layer.channels, layer.intermediate)
            _check_indices(f"layer {index}: groups", layer.groups, layer.kv_heads)
        if self.layers and not self.kept:
            raise CompressError("at least one layer has to stay")

    @property
    def kept(self) -> tuple[int, ...]:
        """Ascending indices of the layers that stay."""
        return tuple(index for index, layer in enumerate(self.layers) if not layer.dropped)

    @property
    def whole(self) -> bool:
        """Whether nothing goes."""
        return all(
            len(layer.channels) == layer.intermediate and len(layer.groups) == layer.kv_heads for layer in self.layers
        )

    @property
    def uniform(self) -> bool:
        """Whether all layers that stay end up with the same sizes."""
        left = [self.layers[index] for index in self.kept]
        return len({(len(layer.channels), len(layer.groups), layer.kept_heads) for layer in left}) <= 1

    def then(self, later: Shape) -> Shape:
        """What stays of this after another cut, whose indices are into what this keeps."""
        layers = zip(self.layers, later.layers, strict=True)
        return replace(self, layers=tuple(_within(first, second) for first, second in layers))

    @property
    def digest(self) -> str:
        """sha256 of the JSON form."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """One line; equal shapes give equal text."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """The inverse of `to_json`. Raises CompressError on anything else."""
        try:
            raw = json.loads(text)
            layers = tuple(_layer(**layer) for layer in raw["layers"])
            return cls(hidden=raw["hidden"], head_dim=raw["head_dim"], layers=layers)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CompressError(f"not a shape: {error!r}") from None


def _within(first: LayerShape, second: LayerShape) -> LayerShape:
    channels = tuple(first.channels[index] for index in second.channels)
    return replace(first, channels=channels, groups=tuple(first.groups[index] for index in second.groups))


def _layer(channels: list[int], groups: list[int], intermediate: int, heads: int, kv_heads: int) -> LayerShape:
    return LayerShape(tuple(channels), tuple(groups), intermediate, heads, kv_heads)


def _check_indices(where: str, kept: tuple[int, ...], size: int) -> None:
    whole = all(type(number) is int for number in (*kept, size))
    ascending = whole and list(kept) == sorted(set(kept))
    if not ascending or (kept and (kept[0] < 0 or kept[-1] >= size)):
        raise CompressError(f"{where}: need ascending indices from 0 to {size - 1}")
