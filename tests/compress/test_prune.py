"""What every method promises, and what a cut means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compress import (
    Calibration,
    CompressError,
    LayerShape,
    Recipe,
    Shape,
    apply,
    budgets,
    calibrate,
    cut_,
    methods,
    plan,
    ratios,
)
from compress.anatomy.blocks import blocks
from compress.anatomy.families import FAMILIES
from compress.anatomy.walk import TOKENS_A_BATCH
from compress.calibration.calibrate import read_text, windows
from compress.calibration.collect import collect
from compress.calibration.stats import BlockStats, Stats
from compress.recipe import RATIOS

CALIBRATION = Calibration(file=Path(__file__), windows=8, tokens=64)
"""This very file is text enough, and read faster than the built-in text."""


ONE_OF_EACH_LAYOUT = ["llama", "qwen2", "phi3", "gpt2", "gpt_neox", "opt"]

WIDTH = [name for name in methods.names() if methods.make(name, {}).removes == "width"]


def recipe(method: str, sparsity: float = 0.2, seed: int = 0, **options: object) -> Recipe:
    return Recipe(method=method, sparsity=sparsity, options=options, calibration=CALIBRATION, seed=seed)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("method", WIDTH)
@pytest.mark.parametrize("family", ONE_OF_EACH_LAYOUT)
def test_every_method_hits_its_sparsity(make_model, tokenizer, family: str, method: str, attention: bool) -> None:
    model = make_model(family)
    if attention and not FAMILIES[family].attention:
        with pytest.raises(CompressError, match="kv groups of family"):
            apply(model, recipe(method, 0.3, attention=True), tokenizer)
        return
    had = blocks(model)
    unit = 8 * had[0].channel_weights / sum(block.weights for block in had)
    receipt = apply(model, recipe(method, 0.25, attention=attention), tokenizer)
    assert receipt.ratios["r_block"] == pytest.approx(0.25, abs=unit)
    assert all(width % 8 == 0 and 0 < width <= 64 for width in receipt.widths)
    if not attention:
        assert min(receipt.kv_groups) == had[0].kv_heads
    elif methods.make(method, {}).budget in ("cfsp", "uniform"):
        assert min(receipt.kv_groups) < had[0].kv_heads
    assert [(block.channels, block.kv_heads) for block in blocks(model)] == list(
        zip(receipt.widths, receipt.kv_groups, strict=True)
    )
    assert sum(receipt.sparsity_by_block) / 3 == pytest.approx(receipt.ratios["r_block"])


@pytest.mark.parametrize("method", WIDTH)
def test_every_method_repeats_itself(make_model, tokenizer, method: str) -> None:
    first, again = (apply(make_model(), recipe(method, seed=3), tokenizer) for _ in range(2))
    assert first.shape == again.shape
    assert first.shape.digest == again.shape.digest


def test_another_seed_is_another_random_choice(make_model) -> None:
    first, other = (apply(make_model(), recipe("random", seed=seed)) for seed in (0, 1))
    assert first.shape != other.shape


def test_magnitude_removes_the_smallest(make_model) -> None:
    model = make_model()
    block = blocks(model)[1]
    small = [3, 17, 40, 41, 42, 43, 44, 63]
    gate, up, down = (part.projection.weight for part in block.channel_parts)
    for weight in (gate, up, down.T):
        weight[small] *= 0.01
    receipt = apply(model, recipe("magnitude", 0.0625))
    assert receipt.widths == (56, 56, 56)
    assert sorted(set(range(64)) - set(receipt.shape.layers[1].channels)) == small


def test_the_receipt_says_how_the_scores_lie(make_model) -> None:
    """Magnitudes of channels 1, 2, ..., 64 times one of them: deciles of 64 numbers lie 6.3 apart."""
    model = make_model()
    gate, up, down = (part.projection.weight for part in blocks(model)[1].channel_parts)
    for weight in (gate, up, down.T):
        weight[:] = torch.arange(1, 65)[:, None] * weight[:1]
    deciles = apply(model, recipe("magnitude", 0.0625)).score_deciles
    assert len(deciles) == 3
    assert [score / deciles[1][0] for score in deciles[1]] == pytest.approx([1 + 6.3 * step for step in range(11)])
    whole = Shape.from_json(apply(make_model(), recipe("magnitude")).shape.to_json())
    assert apply(make_model(), recipe("magnitude"), shape=whole).score_deciles == ()


def test_a_plan_does_not_depend_on_batches(make_model, tokenizer, monkeypatch) -> None:
    model = make_model()
    one = calibrate(model, tokenizer, CALIBRATION, frozenset({"activations", "angles"}))
    monkeypatch.setattr("compress.anatomy.walk.TOKENS_A_BATCH", 64)
    assert TOKENS_A_BATCH > 64
    other = calibrate(model, tokenizer, CALIBRATION, frozenset({"activations", "angles"}))
    assert plan(model, recipe("cfsp"), one) == plan(model, recipe("cfsp"), other)


def test_a_plan_does_not_depend_on_the_length_of_the_calibration(make_model, tokenizer) -> None:
    model = make_model()
    ids = windows(tokenizer, read_text(CALIBRATION)[1], CALIBRATION, "text")
    needs = frozenset({"activations", "angles"})
    once, thrice = (Stats(collect(model, ids.repeat(times, 1), needs)) for times in (1, 3))
    assert plan(model, recipe("cfsp"), once) == plan(model, recipe("cfsp"), thrice)


def test_one_calibration_serves_several_recipes(make_model, tokenizer) -> None:
    stats = calibrate(make_model(), tokenizer, CALIBRATION, recipe("cfsp").needs)
    shared = apply(make_model(), recipe("cfsp", 0.3), stats=stats)
    alone = apply(make_model(), recipe("cfsp", 0.3), tokenizer)
    assert shared.shape == alone.shape
    assert shared.calibration == alone.calibration


def test_a_pruned_model_can_be_pruned_again(make_model, tokenizer) -> None:
    model = make_model()
    apply(model, recipe("cfsp", 0.1), tokenizer)
    before = [block.channels for block in blocks(model)]
    receipt = apply(model, recipe("magnitude", 0.1, attention=True), tokenizer)
    assert [layer.intermediate for layer in receipt.shape.layers] == before
    assert receipt.ratios["r_block"] == pytest.approx(0.1, abs=0.02)


REACHED = [
    *((name, ratio) for name in methods.names() if name != "slope" for ratio in RATIOS[methods.make(name, {}).removes]),
    *((f"magnitude, budget {rule}", ratio) for rule in budgets.names() for ratio in RATIOS["width"]),
]


@pytest.mark.parametrize(("method", "ratio"), REACHED)
def test_every_method_reaches_every_ratio_that_it_can(make_model, method: str, ratio: str) -> None:
    """Within half a percent, or one unit: a channel of a layer's 64, a group of its 9, a layer of 9, a row's weight."""
    name, _, rule = method.partition(", budget ")
    removes = methods.make(name, {}).removes
    options = {"round_to": 1, "attention": ratio in ("r_group", "r_ffn")} if removes == "width" else {}
    wanted = Recipe(
        method=name,
        target={"ratio": ratio, "value": 0.2},
        options=options,
        budget=rule or None,
    )
    model = make_model(num_hidden_layers=9, num_key_value_heads=9)
    receipt = apply(model, wanted, torch.randint(320, (2, 32), generator=torch.Generator().manual_seed(0)))
    unit = {"width": 1 / 9 / 9 / 2, "layers": 1 / 9 / 2, "weights": 1 / 64}[removes]
    assert receipt.ratios[ratio] == pytest.approx(0.2, abs=max(0.005, unit))


def test_equal_layers_reach_a_share_of_groups(make_model) -> None:
    """Two of nine groups and 17 of 64 channels, in every layer."""
    target = {"ratio": "r_group", "value": 0.25}
    recipe = Recipe(
        method="random", target=target, options={"round_to": 1, "attention": True}, budget="uniform", equal_layers=True
    )
    model = make_model(num_key_value_heads=9)
    receipt = apply(model, recipe)
    assert {(block.channels, block.kv_heads) for block in blocks(model)} == {(46, 7)}
    assert receipt.ratios["r_group"] == pytest.approx((18 / 64 + 2 / 9) / 2)


def test_layers_at_the_ends_that_lose_nothing_are_no_part_of_the_share_of_groups() -> None:
    channels, groups = ([8, 8, 8, 8, 8], [8, 4, 8, 6, 0]), ([4, 4, 4, 4, 4], [4, 3, 4, 4, 0])
    assert ratios.group_ratio(channels, groups) == pytest.approx((6 / 24 + 1 / 12) / 2)
    assert ratios.group_ratio(([8, 8], [8, 4]), ([4, 4], [4, 4])) is None
    assert ratios.group_ratio(([8, 8], [8, 8]), ([4, 4], [4, 4])) is None


def test_shares_that_cannot_be_reached_are_refused(make_model) -> None:
    target = {"ratio": "r_group", "value": 0.9}
    with pytest.raises(CompressError, match=r"r_group 0\.9 cannot be reached, 0\.7708 at most"):
        apply(make_model(), Recipe(method="random", target=target, options={"attention": True}))
    single = Recipe(method="random", target=target, options={"attention": True}, budget="flap")
    with pytest.raises(CompressError, match="weights have to go, but only 0 can, as every layer keeps a little"):
        apply(make_model(num_key_value_heads=1), single)
    with pytest.raises(ValueError, match="target: r_group is the share of channels and of kv groups; set attention"):
        Recipe(method="random", target=target)


def test_peak_to_peak_is_the_range_of_the_reading_rows(make_model) -> None:
    block = blocks(make_model())[0]
    gate, up, _ = (part.projection.weight.double() for part in block.channel_parts)
    expected = gate.amax(1) - gate.amin(1) + up.amax(1) - up.amin(1)
    method = methods.make("magnitude", {"norm": "peak_to_peak"})
    assert torch.allclose(method.channel_scores(block, BlockStats(), 0), expected)


def test_a_product_of_largest_weights_has_every_matrix_of_a_channel(make_model) -> None:
    block = blocks(make_model())[0]
    gate, up, down = (part.projection.weight.double() for part in block.channel_parts)
    expected = gate.abs().amax(1) * up.abs().amax(1) * down.abs().amax(0)
    method = methods.make("magnitude", {"norm": "max_product"})
    assert torch.allclose(method.channel_scores(block, BlockStats(), 0), expected)
    assert method.group_scores(block, BlockStats(), 0).shape == (block.kv_heads,)


def test_a_tied_head_is_counted_once(make_model) -> None:
    model = make_model()
    receipt = apply(model, recipe("magnitude", 0.25))
    norms = 3 * 2 * 72 + 72
    total = 320 * 72 + 3 * 2 * 13824 + norms
    assert receipt.ratios["r_total"] == pytest.approx(0.25 * 3 * 2 * 13824 / total)
    assert receipt.ratios["r_ffn"] == 0.5
    assert receipt.ratios["r_group"] is None


def test_refusals(make_model, tokenizer) -> None:
    broken = make_model()
    with torch.no_grad():
        broken.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(CompressError, match="layer 1: NaN or infinite activations"):
        apply(broken, recipe("cfsp"), tokenizer)
    with pytest.raises(CompressError, match="layer 1: a weight is NaN"):
        apply(broken, recipe("magnitude"))
    with pytest.raises(CompressError, match="needs the model's tokenizer"):
        apply(make_model(), recipe("cfsp"))
    long = Recipe(method="cfsp", sparsity=0.2, calibration=Calibration(windows=100_000))
    with pytest.raises(CompressError, match=r"100000 windows of 256 tokens need 25600000, found \d+"):
        apply(make_model(), long, tokenizer)
    small = make_model(vocab_size=40, eos_token_id=1, pad_token_id=1)
    with pytest.raises(CompressError, match="the model knows only 40 tokens"):
        apply(small, recipe("cfsp"), tokenizer)


def test_an_unknown_family_is_refused() -> None:
    from transformers import BloomConfig, BloomForCausalLM

    model = BloomForCausalLM(BloomConfig(hidden_size=8, n_head=2, n_layer=1, vocab_size=20))
    with pytest.raises(CompressError, match="'bloom' is not supported; known families: apertus, arcee, "):
        apply(model, recipe("magnitude"))


def test_a_shape_of_another_model_is_refused_untouched(make_model) -> None:
    model = make_model()
    before = model.model.layers[0].mlp.up_proj.weight.clone()
    layers = [LayerShape(tuple(range(8)), (0,), size, 9, 3) for size in (64, 64, 63)]
    with pytest.raises(CompressError, match="layer 2: the shape was made for"):
        cut_(model, Shape(72, 8, tuple(layers)))
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, before)
