"""Keys and values of rows at work, in tensors with room: new tokens and new rows are written, all others stay put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import DynamicLayer

from harness.models import caches

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache

SPARE_TOKENS = 32
"""Room for so many more is made when it is short."""


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Its keys and values, (rows, heads, tokens, size), are a part of what there is room for."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(keys, values)
        self.rooms = (keys, values)
        self._show(len(keys), 0, keys.shape[2])

    def _show(self, rows: int, begin: int, end: int) -> None:
        self.begin = begin
        self.keys, self.values = (room[:rows, :, begin:end] for room in self.rooms)

    @torch.inference_mode()
    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add tokens to every row."""
        rows, _, count, _ = key_states.shape
        self.reserve_(rows, 0, count)
        end = self.begin + self.get_seq_length()
        for room, new in zip(self.rooms, (key_states, value_states), strict=True):
            room[:rows, :, end : end + count] = new
        self._show(rows, self.begin, end + count)
        return caches.parts(self)

    def reserve_(self, rows: int, before: int, after: int) -> None:
        """See that so many rows have room for so many tokens before and after those that are there."""
        room, here = self.rooms[0], self.get_seq_length()
        if rows <= len(room) and before <= self.begin and after <= room.shape[2] - self.begin - here:
            return
        made = []
        for part in caches.parts(self):
            count, heads, _, size = part.shape
            larger = part.new_zeros((rows, heads, before + here + after + SPARE_TOKENS, size))
            larger[:count, :, before : before + here] = part
            made.append(larger)
        self.rooms = (made[0], made[1])
        self._show(count, before, before + here)

    def join_(self, keys: Tensor, values: Tensor, width: int) -> None:
        """Add rows, the last tokens side by side; `width` tokens of each row stay. There is room for them."""
        rows, (others, _, new, _) = len(caches.parts(self)[0]), keys.shape
        end = self.begin + self.get_seq_length()
        begin = end - width
        for room, part in zip(self.rooms, (keys, values), strict=True):
            # What a row that left has written there may be no number.
            room[:rows, :, begin : self.begin] = 0
            room[rows : rows + others, :, begin : end - new] = 0
            room[rows : rows + others, :, end - new : end] = part
        self._show(rows + others, begin, end)

    @torch.inference_mode()
    def batch_select_indices(self, indices: Tensor) -> None:
        """Only these rows stay, in this order."""
        moved = (indices != torch.arange(len(indices), device=indices.device)).nonzero().flatten()
        for part in caches.parts(self):
            part[moved] = part[indices[moved]]
        self._show(len(indices), self.begin, self.begin + self.get_seq_length())


def make_roomy_(cache: DynamicCache) -> None:
    """Room is made for what is added from now on."""
    cache.layers = [RoomyLayer(*caches.parts(layer)) for layer in caches.layers(cache)]


@torch.inference_mode()
def join_(cache: DynamicCache, other: DynamicCache, width: int) -> None:
    """Add the rows of the other cache to a roomy one; `width` tokens of each row stay, the last ones.

    Where memory does not suffice, the cache is as it was.
    """
    layers = [layer for layer in caches.layers(cache) if isinstance(layer, RoomyLayer)]
    added = [caches.parts(layer) for layer in caches.layers(other)]
    for layer, (keys, _) in zip(layers, added, strict=True):
        rows = len(caches.parts(layer)[0]) + len(keys)
        layer.reserve_(rows, max(0, width - layer.get_seq_length()), 1)
    for layer, (keys, values) in zip(layers, added, strict=True):
        layer.join_(keys[:, :, -width:], values[:, :, -width:], width)
