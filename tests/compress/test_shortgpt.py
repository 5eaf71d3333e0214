"""Which decoder layers go, against the hidden states of a plain forward pass."""

from __future__ import annotations

import math

import pytest
import torch

from compress import CompressError, Stats
from compress.anatomy.blocks import blocks
from compress.calibration.collect import collect
from compress.calibration.stats import BlockStats
from compress.methods.shortgpt import Shortgpt


def watched(model, ids: torch.Tensor, method: Shortgpt) -> Stats:
    return Stats(collect(model, ids, method.needs))


@pytest.mark.parametrize("score", ["influence", "angle", "contiguous"])
def test_a_layer_that_does_nothing_goes_first(make_model, score: str) -> None:
    model, method = make_model(num_hidden_layers=5), Shortgpt(score=score)
    for projection in (blocks(model)[3].attention_out, blocks(model)[3].mlp_out):
        projection.weight.zero_()
    stats = watched(model, torch.randint(0, 256, (3, 20)), method)
    assert method.layer_scores(stats)[3] == pytest.approx(0, abs=1e-6)
    assert min(method.layer_scores(stats)[:3]) > 0.01
    assert method.removed(stats, 1) == [3]


def test_influence_takes_the_lowest_layers_in_one_go() -> None:
    stats = Stats(tuple(BlockStats(influence=value) for value in (0.9, 0.2, 0.1, 0.2, 0.3)))
    assert Shortgpt().removed(stats, 0) == []
    assert Shortgpt().removed(stats, 2) == [1, 2]
    assert Shortgpt().removed(stats, 4) == [1, 2, 3, 4]


def test_a_run_is_the_one_whose_ends_are_nearest(make_model) -> None:
    model, ids = make_model(num_hidden_layers=6), torch.randint(0, 256, (3, 20))
    stats = watched(model, ids, Shortgpt(score="contiguous"))
    seen = []
    model.model.layers[5].register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        states = [*model.model(ids, output_hidden_states=True).hidden_states[:6], *seen]
    for start in range(6):
        assert len(stats.blocks[start].spans) == 6 - start
    for count in (1, 2, 4, 6):
        angles = []
        for start in range(7 - count):
            pairs = zip(states[start][:, -1].double(), states[start + count][:, -1].double(), strict=True)
            cosines = [float(before @ after / before.norm() / after.norm()) for before, after in pairs]
            angles.append(sum(math.acos(cosine) / math.pi for cosine in cosines) / 3)
            assert stats.blocks[start].span(count) == pytest.approx(angles[-1], abs=1e-5)
        first = angles.index(min(angles))
        assert Shortgpt(score="contiguous").removed(stats, count) == list(range(first, first + count))


def test_a_run_needs_what_only_it_gathers(make_model) -> None:
    stats = watched(make_model(), torch.randint(0, 256, (2, 8)), Shortgpt())
    with pytest.raises(CompressError, match="did not gather 'spans'"):
        Shortgpt(score="contiguous").removed(stats, 1)
