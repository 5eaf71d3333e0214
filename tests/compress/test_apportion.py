from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress import CompressError
from compress.anatomy.blocks import blocks
from compress.planning.apportion import apportion, target


def test_apportion_by_hand() -> None:
    # Floors 16, 24, 40 leave 16 of 96; the largest remainders are 7 (third) and 4 (second).
    assert apportion([18, 28, 47], [64, 64, 64], 8, 96) == [16, 32, 48]


def test_apportion_keeps_a_unit_and_never_exceeds_the_limit() -> None:
    assert apportion([0.5, 99.0], [64, 64], 8, 72) == [8, 64]


def test_apportion_may_keep_a_layer_whose_width_is_no_multiple() -> None:
    assert apportion([100, 100], [100, 100], 8, 200) == [100, 100]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 200)), min_size=1, max_size=12),
    st.sampled_from([1, 8, 16]),
    st.floats(0, 1),
)
def test_apportion_meets_the_total(layers: list[tuple[float, int]], unit: int, share: float) -> None:
    limits = [limit for _, limit in layers]
    floors = [min(unit, limit) for limit in limits]
    total = sum(floors) + share * (sum(limits) - sum(floors))
    counts = apportion([keep * limit for keep, limit in layers], limits, unit, total)
    assert abs(sum(counts) - total) <= unit / 2 + 1e-6
    for count, limit, floor in zip(counts, limits, floors, strict=True):
        assert floor <= count <= limit
        assert count % unit == 0 or count == limit


def test_an_impossible_target_says_what_is_possible(make_model) -> None:
    # A layer has 3 * 72 * 64 = 13824 FFN weights and 2 * 72 * 8 * 12 = 13824 attention weights. Keeping 8 of 64
    # channels leaves 7/8 of the FFN to remove: 0.4375 of the layer.
    found = blocks(make_model())
    whole = 3 * 2 * 13824
    with pytest.raises(CompressError, match=r"sparsity 0\.5 cannot be reached.*FFN channels only, at most 0\.4375 of"):
        target(found, 0.5 * whole, attention=False, round_to=8)
    assert target(found, 0.4375 * whole, attention=False, round_to=8).removed == 0.875
    # With attention, two of three groups may go as well: 0.4375 + 1/3.
    with pytest.raises(CompressError, match=r"kv groups only, at most 0\.7708 of"):
        target(found, 0.9 * whole, attention=True, round_to=8)
