"""A blend is the weighted sum of z-scores, and holds only what scores channels."""

from __future__ import annotations

import pytest
import torch

from compress.anatomy.blocks import blocks
from compress.calibration.collect import collect
from compress.methods import make
from compress.methods.cfsp import Cfsp
from compress.methods.magnitude import Magnitude
from compress.methods.wanda_sp import WandaSp


def test_the_sum_is_weighted_and_standardised(make_model) -> None:
    model = make_model()
    block = blocks(model)[1]
    stats = collect(model, torch.randint(0, 256, (2, 16)), frozenset({"activations"}))[1]
    blend = make("blend", {"of": {"wanda_sp": 2, "cfsp": {"weight": 0.5, "options": {"score": "released"}}}})

    def z(scores: torch.Tensor) -> torch.Tensor:
        return (scores - scores.mean()) / scores.std()

    first = WandaSp().channel_scores(block, stats, 0), WandaSp().group_scores(block, stats, 0)
    second = Cfsp(score="released").channel_scores(block, stats, 0), Cfsp().group_scores(block, stats, 0)
    mixed = blend.channel_scores(block, stats, 0), blend.group_scores(block, stats, 0)
    for one, other, both in zip(first, second, mixed, strict=True):
        assert torch.allclose(both, 2 * z(one) + 0.5 * z(other), rtol=1e-12)


def test_one_method_alone_ranks_as_it_does_unblended(make_model) -> None:
    block = blocks(make_model())[0]
    alone = make("blend", {"of": {"magnitude": 0.1}})
    assert alone.needs == frozenset()
    ranking = Magnitude().channel_scores(block, None, 0).argsort()
    assert torch.equal(alone.channel_scores(block, None, 0).argsort(), ranking)


def test_it_needs_what_its_methods_need() -> None:
    assert make("blend", {"of": {"magnitude": 1, "flap": 1, "llm_pruner": 1}}).needs == {"activations", "taylor"}


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ({}, "at least one method"),
        ({"blend": 1}, "cannot hold a blend"),
        ({"wandasp": 1}, "unknown method 'wandasp', did you mean 'wanda_sp'"),
        ({"shortgpt": 1}, "shortgpt does not score channels"),
        ({"cfsp": 0}, "greater than 0"),
        ({"cfsp": float("inf")}, "finite"),
        ({"cfsp": {"wieght": 1}}, "Unexpected keyword"),
        ({"cfsp": {"options": {"scor": "paper"}}}, "unknown option 'scor'"),
        ({"cfsp": {"options": {"attention": True}}}, "of.cfsp: attention and round_to are the blend's own"),
    ],
)
def test_a_bad_mix_is_refused(of: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make("blend", {"of": of})
