"""LLM-Pruner: which sums its options read, and which layers its rule leaves whole."""

from __future__ import annotations

import pytest
import torch

from compress import CompressError, Recipe, apply, budgets, methods
from compress.anatomy.blocks import blocks
from compress.calibration.stats import BlockStats, Stats, Taylor


def numbered(units: int, start: float) -> Taylor:
    """Sums that all differ."""
    first, second, mixed = (start + torch.arange(2.0 * units).view(2, units) + 100 * order for order in range(3))
    return Taylor(first, second, mixed, torch.zeros(1, 2, units))


def recipe(sparsity: float, attention: bool = False, **options: object) -> Recipe:
    return Recipe(
        method="llm_pruner",
        options={"attention": attention},
        sparsity=sparsity,
        budget={"rule": "llm_pruner", "options": options},
    )


def stats_of(model) -> Stats:
    found = blocks(model)
    seen = {"channels": numbered(found[0].channels, 1), "groups": numbered(found[0].kv_heads, 1)}
    return Stats(tuple(BlockStats(taylor=seen) for _ in found))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [164, 165]),
        ({"order": "first"}, [64, 65]),
        ({"order": "first", "form": "vector"}, [0, 1]),
        ({"order": "mixed"}, [264, 265]),
        ({"order": "mixed", "form": "vector"}, [200, 201]),
    ],
)
def test_options_choose_the_sum(make_model, options: dict[str, str], expected: list[float]) -> None:
    block = blocks(make_model())[0]
    method = methods.make("llm_pruner", options)
    seen = BlockStats(taylor={"channels": numbered(64, 0), "groups": numbered(3, 0)})
    assert method.channel_scores(block, seen, seed=0)[:2].tolist() == expected
    assert len(method.group_scores(block, seen, seed=0)) == 3
    with pytest.raises(CompressError, match="did not gather gradients"):
        method.channel_scores(block, BlockStats(), seed=0)


@pytest.mark.parametrize("attention", [False, True])
def test_both_ends_stay_whole(make_model, attention: bool) -> None:
    """Of sixteen layers the first two and the last one, as four and two of thirty-two."""
    model = make_model(num_hidden_layers=16)
    receipt = apply(model, recipe(0.2, attention), stats=stats_of(model))
    ends = [0, 1, 15]
    assert [receipt.widths[index] for index in ends] == [64] * 3
    assert [receipt.kv_groups[index] for index in ends] == [3] * 3
    middle = [receipt.widths[index] for index in range(2, 15)]
    assert max(middle) - min(middle) <= 8
    assert max(middle) < 64
    assert (sum(receipt.kv_groups) < 48) is attention
    assert receipt.ratios["r_block"] == pytest.approx(0.2, abs=0.5 * 8 * 3 * 72 / (16 * 2 * 13824) + 1e-6)


def test_the_ends_can_be_chosen(make_model) -> None:
    model = make_model()
    receipt = apply(model, recipe(0.1, first=0, last=2), stats=stats_of(model))
    assert receipt.widths == (24, 64, 64)


def test_too_much_for_the_middle_is_refused(make_model) -> None:
    # FFN channels are half of the weights, 56 of 64 can go, and that in one layer of three: 0.5 * 56 / 64 / 3.
    model = make_model()
    with pytest.raises(CompressError, match=r"0\.3 cannot be reached with the first 1 and the last 1 of 3 .* 0\.1458"):
        apply(model, recipe(0.3, first=1, last=1), stats=stats_of(model))
    with pytest.raises(CompressError, match=r"first 2 and the last 1 of 3 layers kept whole: at most 0\.0000 can go"):
        apply(model, recipe(0.1, first=2, last=1), stats=stats_of(model))
    assert model.model.layers[0].mlp.up_proj.out_features == 64


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="first: Input should be greater than or equal to 0"):
        budgets.make("llm_pruner", {"first": -1})
