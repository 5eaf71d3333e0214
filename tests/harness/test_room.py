"""Caches with room against plain ones."""

from __future__ import annotations

import torch
from transformers import DynamicCache

from harness.answering.room import SPARE_TOKENS, join_, make_roomy_
from harness.models.caches import layers, parts


def filled(rows: int, tokens: int, start: int) -> DynamicCache:
    """Two layers, counting from `start`."""
    cache = DynamicCache()
    for layer in range(2):
        count = torch.arange(start, start + rows * tokens * 6.0).view(rows, 2, tokens, 3) + 1000 * layer
        cache.update(count, -count, layer)
    return cache


def test_rows_and_tokens_that_come_and_go_are_those_of_plain_tensors() -> None:
    cache, other = filled(3, 4, 0), filled(2, 6, 500)
    one, two = (parts(layers(made)[1])[0].clone() for made in (cache, other))
    make_roomy_(cache)
    join_(cache, other, 5)
    one = torch.cat([torch.cat([torch.zeros(3, 2, 1, 3), one], dim=2), two[:, :, 1:]])
    for step in range(2 * SPARE_TOKENS):
        new = torch.full((len(one), 2, 1, 3), float(step))
        for layer in range(2):
            cache.update(new, -new, layer)
        one = torch.cat([one, new], dim=2)
        if step in (3, 60):
            chosen = torch.tensor([0, len(one) - 1, 2])
            cache.batch_select_indices(chosen)
            one = one[chosen]
        if step == 50:
            join_(cache, other, 3)
            one = torch.cat([one[:, :, -3:], two[:, :, -3:]])
        keys, values = parts(layers(cache)[1])
        assert torch.equal(keys, one)
        assert torch.equal(values, -one)


def test_what_a_row_left_behind_reaches_none_that_takes_its_place() -> None:
    cache = filled(2, 4, 0)
    make_roomy_(cache)
    join_(cache, filled(1, 4, 100), 4)
    keys, values = parts(layers(cache)[0])
    with torch.inference_mode():
        keys[2], values[2] = torch.nan, torch.nan
    cache.batch_select_indices(torch.tensor([0, 1]))
    join_(cache, filled(1, 2, 100), 4)
    assert all(bool(part.isfinite().all()) for layer in layers(cache) for part in parts(layer))
