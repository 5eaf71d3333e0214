"""FLAP's metric and its search over the whole model against plain loops over the published formulas."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from compress import CompressError
from compress.anatomy.blocks import Block, blocks
from compress.budgets import Layer
from compress.calibration.collect import collect
from compress.calibration.stats import BlockStats, Inputs
from compress.methods.flap import Flap
from compress.methods.wanda_sp import WandaSp
from compress.planning.apportion import Target
from compress.planning.globally import global_shares
from compress.planning.masks import top


def watched(model) -> list[tuple[Block, BlockStats]]:
    torch.manual_seed(1)
    stats = collect(model, torch.randint(0, 256, (8, 32)), frozenset({"activations"}))
    return list(zip(blocks(model), stats, strict=True))


def standardised(values: list[float]) -> list[float]:
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    return [(value - mean) / spread for value in values]


def wifv(block: Block, stats: BlockStats, name: str) -> list[float]:
    """Variance over tokens times the squared norm of the column that reads it."""
    projection = {"mlp": block.mlp_out, "attention": block.attention_out}[name]
    seen = stats.seen(projection.name)
    scores = []
    for i in range(projection.in_features):
        mean = float(seen.sums[i]) / seen.tokens
        variance = float(seen.squares[i]) / seen.tokens - mean**2
        scores.append(variance * sum(float(w) ** 2 for w in projection.weight[:, i].double()))
    return scores


def published(layers: list[tuple[Block, BlockStats]], removed: float) -> tuple[list[set[int]], list[set[int]]]:
    """(channels, groups) that AL-AM keeps: descending scores until the weighted count is nearest to what shall stay."""
    ranked = []
    for block, stats in layers:
        columns = standardised([score**2 for score in wifv(block, stats, "attention")])
        each = len(columns) // block.kv_heads
        for group in range(block.kv_heads):
            score = statistics.fmean(columns[group * each : (group + 1) * each])
            heads = block.heads // block.kv_heads
            ranked.append((score, "group", block.index, group, 2 * block.head_dim * (heads + 1) / 3))
        for channel, score in enumerate(standardised(wifv(block, stats, "mlp"))):
            ranked.append((score, "channel", block.index, channel, 1.0))
    ranked.sort(reverse=True)
    wanted = (1 - removed) * sum(entry[-1] for entry in ranked)
    counted = [math.fsum(entry[-1] for entry in ranked[: n + 1]) for n in range(len(ranked))]
    nearest = min(range(len(ranked)), key=lambda n: abs(counted[n] - wanted))
    kept = ranked[: nearest + 1]
    return tuple(
        [{unit for _, kind, layer, unit, _ in kept if (kind, layer) == (name, block.index)} for block, _ in layers]
        for name in ("channel", "group")
    )


def scored(layers: list[tuple[Block, BlockStats]], method: Flap) -> list[Layer]:
    return [Layer(b, s, method.channel_scores(b, s, 0), method.group_scores(b, s, 0)) for b, s in layers]


@pytest.mark.parametrize("kv_heads", [9, 3])
@pytest.mark.parametrize("removed", [0.2, 0.5])
def test_the_search_keeps_what_the_paper_keeps(make_model, kv_heads: int, removed: float) -> None:
    seen = watched(make_model(num_key_value_heads=kv_heads, intermediate_size=40))
    channels, groups = published(seen, removed)
    layers = scored(seen, Flap())
    weights = removed * sum(block.weights for block, _ in seen)
    shares = global_shares(layers, Target(removed, weights, attention=True, round_to=1), standardise=False, floor=0.0)
    for layer, share, kept in zip(layers, shares.channels, channels, strict=True):
        assert set(top(layer.channel_scores, round(share * 40), "")) == kept
    for layer, share, kept in zip(layers, shares.groups, groups, strict=True):
        assert set(top(layer.group_scores, round(share * kv_heads), "")) == kept
    assert min(len(kept) for kept in channels) < 40
    assert min(len(kept) for kept in groups) < kv_heads


def test_what_never_changes_goes_first(make_model) -> None:
    """A channel of mean 3 and variance 0 is worth nothing to WIFV, and much to a norm."""
    block = blocks(make_model())[0]
    sums, squares = torch.zeros(64, dtype=torch.float64), torch.rand(64, dtype=torch.float64) + 100
    sums[17], squares[17] = 300, 900
    stats = BlockStats(inputs={block.mlp_out.name: Inputs(100, sums, squares)})
    assert int(Flap().channel_scores(block, stats, 0).argmin()) == 17
    assert int(Flap(metric="IFV").channel_scores(block, stats, 0).argmin()) == 17
    norms = Flap(metric="WIFN").channel_scores(block, stats, 0)
    assert torch.equal(norms.argsort(), WandaSp().channel_scores(block, stats, 0).argsort())
    assert int(norms.argmin()) != 17


def layers_of(model, channels: list[list[float]], groups: list[list[float]]) -> list[Layer]:
    pairs = zip(channels, groups, strict=True)
    scores = [(torch.tensor(channel), torch.tensor(group)) for channel, group in pairs]
    return [Layer(block, BlockStats(), *score) for block, score in zip(blocks(model), scores, strict=True)]


@pytest.fixture
def small(make_model):
    """Two layers of four channels of 216 weights, and three kv groups of 4608."""
    return make_model(intermediate_size=4, num_hidden_layers=2)


def test_the_lowest_of_all_layers_go(small) -> None:
    layers = layers_of(small, [[1.0, 9.0, 2.0, 8.0], [7.0, 6.0, 5.0, 3.0]], [[9.0] * 3, [9.0, 9.0, 2.5]])
    # 1, 2 (channels of layer 0), then the group of 2.5, then 3.
    shares = global_shares(layers, Target(0, 3 * 216 + 4608, True, 1), standardise=False, floor=0.0)
    assert shares.channels == [0.5, 0.75]
    assert shares.groups == pytest.approx([1, 2 / 3])
    alone = global_shares(layers, Target(0, 3 * 216, False, 1), standardise=False, floor=0.0)
    assert (alone.channels, alone.groups) == ([0.5, 0.75], [1, 1])


def test_standardised_scores_compare_between_layers(small) -> None:
    layers = layers_of(small, [[1.0, 2.0, 3.0, 4.0], [100.0, 200.0, 300.0, 400.0]], [[1.0, 2.0, 3.0]] * 2)
    target = Target(0, 4 * 216, False, 1)
    assert global_shares(layers, target, standardise=False, floor=0.25).channels == [0.25, 0.75]
    assert global_shares(layers, target, standardise=True, floor=0.25).channels == [0.5, 0.5]
    # Of four channels the lowest is at -1.16 and the next at -0.39; a group at -1 over the root of 24 columns, at -0.2.
    shares = global_shares(layers, Target(0, 4 * 216, True, 1), standardise=True, floor=0.0)
    assert (shares.channels, shares.groups) == ([0.5, 0.5], [1, 1])


def test_every_layer_keeps_its_floor(small) -> None:
    layers = layers_of(small, [[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]], [[1.0] * 3, [2.0] * 3])
    assert global_shares(layers, Target(0, 4 * 216, False, 1), False, 0.0).channels == [0.25, 0.75]
    assert global_shares(layers, Target(0, 4 * 216, False, 1), False, 0.5).channels == [0.5, 0.5]
    assert global_shares(layers, Target(0, 4 * 216, False, 2), False, 0.1).channels == [0.5, 0.5]
    with pytest.raises(CompressError, match=r"1296 weights have to go, but with floor 0.5 only 864 can"):
        global_shares(layers, Target(0, 6 * 216, False, 1), False, 0.5)


def test_a_layer_that_puts_out_nothing_goes_first(small) -> None:
    layers = layers_of(small, [[0.0] * 4, [1.0, 2.0, 3.0, 4.0]], [[1.0] * 3] * 2)
    for standardise in (True, False):
        assert global_shares(layers, Target(0, 3 * 216, False, 1), standardise, 0.0).channels == [0.25, 1]


def test_a_broken_score_is_refused(small) -> None:
    layers = layers_of(small, [[1.0, math.nan, 1.0, 1.0], [2.0] * 4], [[1.0] * 3] * 2)
    with pytest.raises(CompressError, match="NaN"):
        global_shares(layers, Target(0, 216, False, 1), True, 0.0)
