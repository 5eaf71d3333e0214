"""SAAP's fusion and search, by hand and by what they must not depend on."""

from __future__ import annotations

import pytest
import torch

from compress import Recipe, apply, methods
from compress.anatomy.blocks import blocks
from compress.calibration.stats import BlockStats, Stats, Taylor
from compress.methods.saap import Saap, fluctuation, fused

FUSIONS = ("mean_norm", "product", "vector", "element")


def random_taylor(units: int, seed: int = 0) -> Taylor:
    source = torch.Generator().manual_seed(seed)
    sums = [torch.rand(2, units, dtype=torch.float64, generator=source) for _ in range(3)]
    return Taylor(*sums, torch.rand(5, 2, units, dtype=torch.float64, generator=source))


def stats_of(model) -> Stats:
    seen = [
        BlockStats(
            taylor={"channels": random_taylor(b.channels, b.index), "groups": random_taylor(b.kv_heads, b.index)}
        )
        for b in blocks(model)
    ]
    return Stats(tuple(seen))


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("importance", [0, 1])
def test_rescaling_one_importance_leaves_the_ranking(fusion: str, importance: int) -> None:
    plain = torch.rand(2, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    scaled = plain.clone()
    scaled[importance] *= 1000
    assert torch.equal(fused(plain, fusion).argsort(), fused(scaled, fusion).argsort())


def test_fusion_by_hand() -> None:
    importances = torch.tensor([[1.0, 3.0, 2.0], [8.0, 2.0, 5.0]])
    # Means 2 and 5.
    assert fused(importances, "mean_norm").tolist() == pytest.approx([(0.5 + 1.6) / 2, (1.5 + 0.4) / 2, 1.0])
    assert fused(importances, "product").tolist() == pytest.approx([8**0.5, 6**0.5, 10**0.5])
    assert fused(importances, "vector").tolist() == [1.0, 3.0, 2.0]
    assert fused(importances, "element").tolist() == [8.0, 2.0, 5.0]


def test_mean_norm_has_the_sigmas_of_the_multi_task_loss() -> None:
    """sum(I) / (2 s) + N / 2 * log s has its minimum at s = mean(I); found here by descent."""
    importance = random_taylor(50).mixed[0]
    sigma = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([sigma], lr=0.02)
    for _ in range(500):
        optimiser.zero_grad()
        (importance.sum() / (2 * sigma) + len(importance) / 2 * sigma.log()).backward()
        optimiser.step()
    assert sigma.item() == pytest.approx(float(importance.mean()), rel=1e-4)


def test_fluctuation_by_hand() -> None:
    # Unit 0 has 1 and 3 in two windows: mean 2, deviation 1. Unit 1 never changes, unit 2 is dead.
    windows = torch.tensor([[[1.0, 4.0, 0.0]] * 2, [[3.0, 4.0, 0.0]] * 2])
    assert fluctuation(windows, "vector").tolist() == pytest.approx([0.5, 0.0, 0.0])


def test_searches_differ_as_they_say(make_model) -> None:
    block = blocks(make_model())[0]
    taylor = random_taylor(64)
    seen = BlockStats(taylor={"channels": taylor})

    def scores(**options: object) -> torch.Tensor:
        return Saap(**options).channel_scores(block, seen, seed=0)

    standard, stability = scores(), scores(search="stability")
    assert float(standard.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(standard.std()) == pytest.approx(1.0)
    assert torch.equal(standard.argsort(), fused(taylor.windows.mean(dim=0), Saap().fusion).argsort())
    assert torch.equal(stability, -fluctuation(taylor.windows, Saap().fusion))
    combined = scores(search="combined", fluctuation_weight=0.25)
    assert torch.allclose(combined, standard + 0.25 * stability)


@pytest.mark.parametrize(("floor", "width"), [(0.0, 24), (0.8, 32)])
def test_the_search_takes_most_where_most_is_low(make_model, floor: float, width: int) -> None:
    """24 channels of layer 1 stand out, so the other 40 are far below the mean; other layers are spread evenly.

    Of the channels 0.6 stay on average, so with a floor of 0.8 every layer keeps 0.48 * 64, in whole eights.
    """
    model = make_model()
    sums = torch.rand(3, 2, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sums[1] /= 10
    sums[1, :, :24] = 1.0
    seen = [BlockStats(taylor={"channels": Taylor(one, one, one, one[None])}) for one in sums]
    rule = {"rule": "saap", "options": {"floor": floor}}
    receipt = apply(model, Recipe(method="saap", sparsity=0.2, budget=rule), stats=Stats(tuple(seen)))
    assert receipt.widths[1] == width < min(receipt.widths[0], receipt.widths[2])
    assert receipt.ratios["r_block"] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("search", ["zscore", "stability", "combined"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_combination_prunes_groups_and_channels(make_model, search: str, fusion: str) -> None:
    model = make_model()
    options = {"search": search, "fusion": fusion, "attention": True}
    receipt = apply(model, Recipe(method="saap", options=options, sparsity=0.3), stats=stats_of(model))
    assert receipt.ratios["r_block"] == pytest.approx(0.3, abs=0.02)
    assert min(receipt.kv_groups) < 3
    assert min(receipt.widths) >= 8


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="search: Input should be 'zscore', 'stability' or 'combined'"):
        methods.make("saap", {"search": "asi"})
