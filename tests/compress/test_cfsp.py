"""CFSP's formulas against plain loops over them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.anatomy.blocks import blocks
from compress.budgets.cfsp import allocation
from compress.calibration.collect import collect, token_cosines
from compress.calibration.stats import BlockStats, Inputs
from compress.methods.cfsp import Cfsp


def seen(projection, squares: torch.Tensor) -> BlockStats:
    return BlockStats(inputs={projection.name: Inputs(100, torch.zeros_like(squares), squares)})


shares = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(shares, st.floats(0.001, 0.95))
def test_allocation_keeps_the_budget_and_less_than_everything(angles: list[float], removed: float) -> None:
    keep = allocation(angles, removed)
    assert math.fsum(keep) / len(keep) == pytest.approx(1 - removed, abs=1e-9)
    assert min(keep) > 0
    assert max(keep) < 1


def test_allocation_of_equal_layers_is_even() -> None:
    assert allocation([0.2] * 4, 0.3) == pytest.approx([0.7] * 4)


def test_allocation_of_nothing_keeps_all() -> None:
    assert allocation([0.1, 0.3], 0.0) == [1.0, 1.0]


def test_allocation_by_hand() -> None:
    # z = -/+ 0.65536, sigmoid 0.341782 and 0.658218, mean 0.5. Half is removed: 1.316 * 0.5 < 1, so no shrinking.
    assert allocation([0.1, 0.2], 0.5) == pytest.approx([0.341782, 0.658218], abs=1e-6)
    # A fifth is removed: 1.316 * 0.8 > 1, so the larger is drawn to 0.8 + 0.2 / 1.05.
    assert allocation([0.1, 0.2], 0.2) == pytest.approx([0.8 - 0.2 / 1.05, 0.8 + 0.2 / 1.05])
    # Steepness 20: z = -/+ 1, sigmoid 0.268941 and 0.731059.
    assert allocation([0.1, 0.2], 0.5, 20.0) == pytest.approx([0.268941, 0.731059], abs=1e-6)


def test_angles_of_equal_rows_are_zero_and_not_nan() -> None:
    rows = torch.randn(2, 50, 33)
    assert float(token_cosines(rows, rows * 3).arccos().max()) < 1e-7
    assert token_cosines(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])).item() == pytest.approx(0.0)


def test_paper_score_is_the_formula(make_model) -> None:
    block = blocks(make_model(intermediate_size=5, hidden_size=24, num_attention_heads=3, num_key_value_heads=1))[0]
    squares = torch.rand(5, dtype=torch.float64)
    scores = Cfsp().channel_scores(block, seen(block.mlp_out, squares), seed=0)

    gate, up, down = (part.projection.weight.double().abs() for part in block.channel_parts)
    activation = squares.sqrt()
    for i in range(5):
        factor = 0.0
        for j in range(24):
            factor += float(down[j, i] * activation[i] / sum(down[j, k] * activation[k] for k in range(5)))
            factor += float(up[i, j] / sum(up[k, j] for k in range(5)))
            factor += float(gate[i, j] / sum(gate[k, j] for k in range(5)))
        assert float(scores[i]) == pytest.approx(factor * float(activation[i]), rel=1e-12)


def test_released_score_is_the_formula_and_forgets_the_weights(make_model) -> None:
    """Each of |Wd| A, |Wu|, |Wg| over its own sum, added, times A, averaged over the hidden axis."""
    block = blocks(make_model())[0]
    squares = torch.rand(64, dtype=torch.float64)
    scores = Cfsp(score="released").channel_scores(block, seen(block.mlp_out, squares), seed=0)

    activation = squares.sqrt()
    gate, up, down = (part.projection.weight.double().abs() for part in block.channel_parts)
    for i in (0, 17, 63):
        column = down[:, i] * activation[i]
        parts = column / column.sum() + up[i] / up[i].sum() + gate[i] / gate[i].sum()
        assert float(scores[i]) == pytest.approx(float((parts * activation[i]).mean()), rel=1e-12)
    paper = Cfsp().channel_scores(block, seen(block.mlp_out, squares), seed=0)
    assert float((paper / activation).std()) > 1e-3
    assert float((scores / activation).std()) < 1e-12


def test_group_score_is_the_wanda_sum(make_model) -> None:
    block = blocks(make_model())[0]
    squares = torch.rand(72, dtype=torch.float64)
    scores = Cfsp(attention=True).group_scores(block, seen(block.attention_out, squares), seed=0)
    weight = block.attention_out.weight.double().abs()
    for group in range(3):
        columns = range(group * 24, group * 24 + 24)
        expected = sum(float(weight[:, c].mean() * squares[c].sqrt()) for c in columns)
        assert float(scores[group]) == pytest.approx(expected)


def test_a_channel_of_zeros_scores_zero(make_model) -> None:
    block = blocks(make_model())[0]
    for part in block.channel_parts:
        part.projection.weight.zero_()
    scores = Cfsp().channel_scores(block, seen(block.mlp_out, torch.rand(64, dtype=torch.float64)), seed=0)
    assert float(scores.abs().max()) == 0.0


def test_statistics_are_sums_over_a_plain_forward(make_model) -> None:
    model = make_model("qwen3")
    ids = torch.randint(0, 256, (2, 16))
    stats = collect(model, ids, frozenset({"inputs", "angles"}))

    with torch.no_grad():
        states = model.model(ids, output_hidden_states=True).hidden_states
    inputs: dict[str, torch.Tensor] = {}
    block = blocks(model)[1]
    for projection in block.projections:
        projection.module.register_forward_pre_hook(
            lambda module, args, name=projection.name: inputs.__setitem__(name, args[0].double().flatten(0, 1))
        )
    with torch.no_grad():
        model(ids)
    assert len(inputs) == 7
    for name, expected in inputs.items():
        assert torch.allclose(stats[1].seen(name).squares, expected.square().sum(dim=0), rtol=1e-5)
        assert torch.allclose(stats[1].seen(name).means, expected.mean(dim=0), atol=1e-6)
        assert torch.allclose(stats[1].seen(name).variances, expected.var(dim=0, unbiased=False), rtol=1e-4, atol=1e-7)
    cosines = []
    for before, after in zip(states[1].flatten(0, 1), states[2].flatten(0, 1), strict=True):
        cosines.append(float(before @ after / before.norm() / after.norm()))
    angles = [math.acos(max(-1.0, min(1.0, cosine))) / math.pi for cosine in cosines]
    assert stats[1].angle == pytest.approx(sum(angles) / 32, abs=1e-5)
    assert stats[1].influence == pytest.approx(1 - sum(cosines) / 32, abs=1e-5)
    assert stats[1].spans == ()


def test_a_gram_is_the_product_of_the_inputs(make_model) -> None:
    model = make_model()
    ids = torch.randint(0, 256, (2, 16))
    plain = collect(model, ids, frozenset({"inputs"}))[2].seen("mlp.down_proj")
    gram = collect(model, ids, frozenset({"grams"}))[2].seen("mlp.down_proj")
    assert gram.gram is not None
    assert torch.allclose(gram.gram.diagonal(), plain.squares, rtol=1e-5)
    assert torch.allclose(gram.gram, gram.gram.T)
