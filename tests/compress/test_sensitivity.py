"""Lesions against a plain computation, the spread of a budget by hand, and what every budget rule owes."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compress import Recipe, apply, budgets
from compress.anatomy.blocks import blocks
from compress.budgets.sensitivity import spread
from compress.calibration.lesions import lesions

IDS = torch.arange(120).view(4, 30) % 97


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_a_lesion_is_the_divergence_to_the_model_whose_ffn_puts_out_nothing(make_model, family: str) -> None:
    model = make_model(family)
    found = lesions(model, blocks(model), IDS)
    before = model(input_ids=IDS).logits.detach().log_softmax(-1)
    for index, damage in enumerate(found):
        broken = copy.deepcopy(model)
        out = blocks(broken)[index].mlp_out
        out.weight.zero_()
        if out.module.bias is not None:
            out.module.bias.data.zero_()
        after = broken(input_ids=IDS).logits.detach().log_softmax(-1)
        assert damage == pytest.approx(float((before.exp() * (before - after)).sum(-1).mean()), rel=1e-4)
    assert torch.equal(model(input_ids=IDS).logits.log_softmax(-1), before), "no hook is left"


def test_what_hurts_less_loses_more_by_hand() -> None:
    # Power 3: losses go with damage^(-1/2), so 1 : 2 of a mean of 0.3.
    assert spread([0.4, 0.1], 0.3, 3.0, 1.0) == pytest.approx([0.2, 0.4])
    # The second may lose no more than 0.35, so the first makes up for it.
    assert spread([0.4, 0.1], 0.3, 3.0, 0.35) == pytest.approx([0.25, 0.35])
    assert spread([0.2] * 3, 0.3, 4.0, 0.75) == pytest.approx([0.3] * 3)


@settings(max_examples=60)
@given(st.lists(st.floats(0, 9), min_size=1, max_size=30), st.floats(0, 0.7), st.floats(1.5, 20))
def test_a_spread_meets_the_budget_within_its_bounds(damages: list[float], removed: float, power: float) -> None:
    lost = spread(damages, removed, power, 0.75)
    assert math.fsum(lost) / len(lost) == pytest.approx(removed, abs=1e-6)
    assert all(0 <= share <= 0.75 for share in lost)
    order = sorted(range(len(damages)), key=lambda index: damages[index])
    assert [lost[index] for index in order] == sorted(lost, reverse=True)


@pytest.mark.parametrize("rule", budgets.names())
@pytest.mark.parametrize("attention", [False, True])
def test_every_budget_meets_the_target_and_leaves_every_layer_something(make_model, rule: str, attention: bool) -> None:
    model = make_model(num_hidden_layers=4)
    unit = blocks(model)[0].channel_weights / sum(block.weights for block in blocks(model))
    options = {"attention": attention, "round_to": 1}
    recipe = Recipe(method="wanda_sp", options=options, sparsity=0.15, budget={"rule": rule})
    receipt = apply(model, recipe, IDS)
    assert receipt.ratios["r_block"] == pytest.approx(0.15, abs=unit)
    assert all(layer.channels and layer.groups for layer in receipt.shape.layers)
    assert torch.isfinite(model(input_ids=IDS).logits).all()
