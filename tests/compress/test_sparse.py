"""Single weights zeroed: which ones, what the others become, and what a calibration layer after layer means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compress import Calibration, CompressError, Recipe, apply, calibrate, open_model, read_receipt, save
from compress.anatomy.blocks import Projection, blocks
from compress.anatomy.families import FAMILIES
from compress.calibration.calibrate import read
from compress.calibration.collect import collect, gram_of
from compress.calibration.stats import Inputs
from compress.cutting.patterns import double_pruned, lowest, parse
from compress.methods import Site, make
from compress.training.settings import Recovery

CALIBRATION = Calibration(file=Path(__file__).parents[2] / "LICENSE", windows=8, tokens=64)
PATTERN = {"pattern": "2:4"}
SPARSE = {
    "wanda": {},
    "sparsegpt": {},
    "slope": {"score": "wanda"},
    "magnitude": {},
    "random": {},
}


def recipe(method: str, sparsity: float | None = None, **options: object) -> Recipe:
    return Recipe(method=method, sparsity=sparsity, options=options, calibration=CALIBRATION)


def sample(rows: int = 12, columns: int = 40) -> tuple[Site, Inputs]:
    """A projection with float64 weights, and 200 tokens of inputs that are far from independent; input 5 is dead."""
    torch.manual_seed(0)
    module = nn.Linear(columns, rows, dtype=torch.float64)
    x = torch.randn(200, columns, dtype=torch.float64) @ torch.randn(columns, columns, dtype=torch.float64)
    x[:, 5] = 0.0
    inputs = Inputs(len(x), x.sum(dim=0), x.square().sum(dim=0), x.T @ x)
    return Site(0, 1, Projection("test", module), 0.5, 0), inputs


def zeros(weight: Tensor) -> Tensor:
    return weight == 0


def test_patterns_are_read() -> None:
    assert (parse("2:4"), parse("1:16"), parse("unstructured")) == ((2, 4), (1, 16), None)
    for wrong in ("4:2", "2:2", "0:4", "2/4", "", "2:4 "):
        with pytest.raises(ValueError, match="is no pattern: N:M with 0 < N < M"):
            parse(wrong)


def test_of_equal_scores_the_later_go() -> None:
    scores = torch.tensor([[1.0, 1.0, 0.0, 1.0], [2.0, 2.0, 2.0, 2.0]])
    assert lowest(scores, 2).tolist() == [[False, False, True, True], [False, False, True, True]]
    assert not lowest(scores, 0).any()
    assert lowest(scores, 4).all()


@pytest.mark.parametrize("tokens", [1, 50])
def test_half_a_gram_matrix_is_enough(tokens: int) -> None:
    x = torch.randn(tokens, 13)
    assert torch.allclose(gram_of(x), x.T @ x, atol=1e-5)


@pytest.mark.parametrize("pattern", ["1:2", "2:4", "2:8", "4:8"])
@pytest.mark.parametrize("method", SPARSE)
def test_n_of_every_m_inputs_stay(method: str, pattern: str) -> None:
    site, inputs = sample()
    kept, size = parse(pattern)
    weight = make(method, {**SPARSE[method], "pattern": pattern}).sparse(site, inputs)
    counts = weight.count_nonzero(dim=1), weight.view(12, -1, size).count_nonzero(dim=2)
    if method == "sparsegpt":  # what a dead input is multiplied with is zero wherever it stays
        assert int(counts[1].max()) == kept
    else:
        assert counts[1].unique().tolist() == [kept]
        assert bool((weight == site.projection.weight)[~zeros(weight)].all())


def test_wanda_is_its_formula_row_by_row() -> None:
    site, inputs = sample()
    weight = make("wanda", {}).sparse(replace(site, sparsity=0.3), inputs)
    for row, original in zip(weight, site.projection.weight, strict=True):
        scores = [abs(float(w)) * float(square) ** 0.5 for w, square in zip(original, inputs.squares, strict=True)]
        gone = sorted(range(40), key=lambda j: (scores[j], -j))[:12]
        assert zeros(row).nonzero().flatten().tolist() == sorted(gone)


def test_wanda_with_equal_inputs_is_magnitude_in_each_row() -> None:
    site, inputs = sample()
    even = replace(inputs, squares=torch.ones(40, dtype=torch.float64))
    weight = make("wanda", {}).sparse(site, even)
    magnitudes = site.projection.weight.abs()
    assert torch.equal(zeros(weight), magnitudes < magnitudes.sort(dim=1).values[:, 20:21])


def test_magnitude_has_one_threshold_for_a_matrix() -> None:
    site, _ = sample()
    magnitudes = site.projection.weight.abs()
    weight = make("magnitude", {"pattern": "unstructured"}).sparse(site, None)
    assert torch.equal(zeros(weight), magnitudes < magnitudes.flatten().sort().values[240])


def published(weight: Tensor, inputs: Inputs, width: int, pattern: tuple[int, int] | None) -> Tensor:
    """SparseGPT at one half, weight after weight, by the inverse Hessian that the paper describes."""
    weight = weight.clone()
    dead = inputs.gram.diagonal() == 0
    hessian = 2 / inputs.tokens * inputs.gram
    mean = float(hessian.diagonal().mean())
    hessian[dead, dead] = mean
    weight[:, dead] = 0
    upper = torch.linalg.cholesky(torch.linalg.inv(hessian + 0.01 * mean * torch.eye(len(hessian)).double())).T
    saliency = lambda start, stop: weight[:, start:stop] ** 2 / upper.diagonal()[start:stop] ** 2  # noqa: E731
    gone = torch.zeros_like(weight, dtype=torch.bool)
    for column in range(weight.shape[1]):
        if pattern is None and column % width == 0:
            block = saliency(column, column + width)
            gone[:, column : column + width] = block < block.flatten().sort().values[block.numel() // 2]
        if pattern is not None and column % pattern[1] == 0:
            for row, group in enumerate(saliency(column, column + pattern[1])):
                lowest_first = sorted(range(pattern[1]), key=lambda j: (float(group[j]), -j))
                gone[row, [column + j for j in lowest_first[: pattern[1] - pattern[0]]]] = True
        for row in range(len(weight)):
            if gone[row, column]:
                error = weight[row, column] / upper[column, column]
                weight[row, column:] -= error * upper[column, column:]
                weight[row, column] = 0
    return weight


@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "1:8"])
def test_sparsegpt_is_its_published_loop(pattern: str) -> None:
    site, inputs = sample()
    weight = make("sparsegpt", {"pattern": pattern, "columns": 16}).sparse(site, inputs)
    expected = published(site.projection.weight, inputs, 16, parse(pattern))
    assert torch.equal(zeros(weight), zeros(expected))
    assert torch.allclose(weight, expected, rtol=1e-8, atol=1e-10)


def test_sparsegpt_on_independent_inputs_is_magnitude_in_each_block_of_columns() -> None:
    site, inputs = sample(columns=320)
    weight = make("sparsegpt", {}).sparse(site, replace(inputs, gram=torch.eye(320, dtype=torch.float64)))
    for original, pruned in zip(site.projection.weight.split(128, 1), weight.split(128, 1), strict=True):
        gone = original.abs() < original.abs().flatten().sort().values[original.numel() // 2]
        assert torch.equal(pruned, original.masked_fill(gone, 0.0))


@pytest.mark.parametrize(("pattern", "drop"), [((1, 2), 0.125), ((2, 4), 0.09375), ((2, 8), 0.0584)])
def test_pruning_twice_drops_as_much_as_slope_proves(pattern: tuple[int, int], drop: float) -> None:
    torch.manual_seed(0)
    weight = torch.randn(1024, 1024)
    twice = double_pruned(weight, pattern)
    assert pattern[0] / pattern[1] - twice.count_nonzero().item() / weight.numel() == pytest.approx(drop, abs=0.002)
    assert int(twice.T.reshape(1024, -1, pattern[1]).count_nonzero(dim=2).max()) == pattern[0]


def test_slope_divides_the_depth_into_runs() -> None:
    mixed = make("slope", {"pattern": ["2:4", "2:8"]})
    assert [mixed.kept(block, 5) for block in range(5)] == [(2, 4)] * 3 + [(2, 8)] * 2


@pytest.mark.parametrize(
    ("family", "method"), [*(("llama", method) for method in SPARSE), *((family, "sparsegpt") for family in FAMILIES)]
)
def test_every_method_zeroes_half_and_nothing_else(make_model, tokenizer, family: str, method: str) -> None:
    model, original = make_model(family), make_model(family)
    receipt = apply(model, recipe(method, **SPARSE[method], **PATTERN), tokenizer)
    assert receipt.ratios["r_zero"] == pytest.approx(0.5, abs=2e-3)
    assert receipt.ratios["r_block"] == 0
    assert receipt.sparsity_by_block == pytest.approx([0.5] * 3, abs=5e-3)
    assert "simulated sparsity" in receipt.notes[0]
    pruned = {projection.module for block in blocks(model) for projection in block.projections}
    for (name, module), other in zip(model.named_modules(), original.modules(), strict=True):
        if module not in pruned and hasattr(module, "weight"):
            assert torch.equal(module.weight, other.weight), name


@pytest.mark.parametrize("method", ["wanda", "sparsegpt", "magnitude", "random"])
def test_every_method_repeats_itself_and_meets_its_sparsity(make_model, tokenizer, method: str) -> None:
    options = {"pattern": "unstructured"}
    first, again = make_model(), make_model()
    receipt = apply(first, recipe(method, 0.3, **options), tokenizer)
    apply(again, recipe(method, 0.3, **options), tokenizer)
    assert receipt.ratios["r_zero"] == pytest.approx(0.3, abs=0.01)
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_zeros_outlive_saving(make_model, tokenizer, tmp_path: Path) -> None:
    model = make_model()
    receipt = apply(model, recipe("sparsegpt", **PATTERN), tokenizer)
    save(model, tokenizer, tmp_path / "sparse", receipt)
    opened = open_model(tmp_path / "sparse")
    stored = read_receipt(tmp_path / "sparse")
    weights = [projection.weight for block in blocks(opened) for projection in block.projections]
    share = sum(int(zeros(weight).sum()) for weight in weights) / sum(weight.numel() for weight in weights)
    assert stored.ratios["r_zero"] == receipt.ratios["r_zero"] == share
    assert stored.notes == receipt.notes


@pytest.mark.parametrize("sequential", ["layer", "projection"])
def test_inputs_come_from_what_is_sparse_already(make_model, tokenizer, monkeypatch, sequential: str) -> None:
    monkeypatch.setattr("compress.anatomy.walk.TOKENS_A_BATCH", 128)
    model, plain = make_model(), make_model()
    wanda = recipe("wanda", 0.5, sequential=sequential)
    apply(model, wanda, tokenizer)
    ids, _ = read(plain, tokenizer, CALIBRATION)
    for block in blocks(plain):
        q, k, v, o, gate, up, down = block.projections
        stages = {"layer": [(q, k, v, o, gate, up, down)], "projection": [(q, k, v), (o,), (gate, up), (down,)]}
        for stage in stages[sequential]:
            seen = collect(plain, ids, frozenset({"inputs"}))[block.index]
            for projection in stage:
                site = Site(block.index, 3, projection, 0.5, 0)
                projection.weight.copy_(wanda.chosen().sparse(site, seen.seen(projection.name)))
    for one, other in zip(blocks(model), blocks(plain), strict=True):
        for mine, expected in zip(one.projections, other.projections, strict=True):
            assert torch.equal(zeros(mine.weight), zeros(expected.weight)), (one.index, mine.name)


def test_one_calibration_of_the_original_serves_what_is_not_sequential(make_model, tokenizer) -> None:
    plain = recipe("sparsegpt", sequential=False, **PATTERN)
    assert plain.needs == {"grams"}
    assert recipe("sparsegpt", **PATTERN).needs == frozenset()
    assert Recipe(method="sparsegpt", options=PATTERN, recovery=Recovery(rule="importance")).needs == {"angles"}
    stats = calibrate(make_model(), tokenizer, CALIBRATION, plain.needs)
    shared, alone, layerwise = make_model(), make_model(), make_model()
    apply(shared, plain, stats=stats)
    apply(alone, plain, tokenizer)
    apply(layerwise, recipe("sparsegpt", **PATTERN), tokenizer)
    weights = [model.model.layers[2].mlp.down_proj.weight for model in (shared, alone, layerwise)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_what_is_left_alone_makes_the_rest_sparser(make_model, tokenizer) -> None:
    model, original = make_model(), make_model()
    receipt = apply(model, recipe("wanda", 0.25, modules="mlp"), tokenizer)
    assert receipt.ratios["r_zero"] == pytest.approx(0.25, abs=0.01)
    attention, dense = model.model.layers[0].self_attn, original.model.layers[0].self_attn
    assert torch.equal(attention.o_proj.weight, dense.o_proj.weight)
    with pytest.raises(CompressError, match=r"0\.7 cannot be reached: modules: mlp has 0\.5 of the weights"):
        apply(original, recipe("wanda", 0.7, modules="mlp"), tokenizer)


def test_refusals_leave_the_model_alone(make_model, tokenizer) -> None:
    model = make_model()
    before = model.model.layers[0].mlp.up_proj.weight.clone()
    with pytest.raises(CompressError, match=r"layer 0: self_attn.q_proj has 72 inputs, no multiple of the 5 of .* 2:5"):
        apply(model, recipe("magnitude", pattern="2:5"))
    with pytest.raises(CompressError, match="needs the model's tokenizer"):
        apply(model, recipe("wanda", **PATTERN))
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, before)
    with torch.no_grad():
        model.model.layers[0].input_layernorm.weight.fill_(3e38)
    with pytest.raises(CompressError, match=r"layer 0: self_attn\.q_proj: NaN or infinite activations"):
        apply(model, recipe("wanda", **PATTERN), tokenizer)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = float("nan")
    with pytest.raises(CompressError, match="layer 1: a weight is NaN"):
        apply(model, recipe("wanda", **PATTERN), tokenizer)


@pytest.mark.parametrize(
    ("method", "options", "reason"),
    [
        ("wanda", {"pattern": "4:2"}, "pattern: '4:2' is no pattern"),
        ("wanda", {"sequential": True}, "sequential"),
        ("magnitude", {"pattern": "2:4", "attention": True}, "attention and round_to go with pattern: channels"),
        ("magnitude", {"pattern": "half"}, "pattern"),
        ("sparsegpt", {"pattern": "2:4", "columns": 6}, "columns: 6 is no multiple of the 4"),
        ("slope", {"pattern": "unstructured"}, "slope wants N:M"),
        ("slope", {"pattern": []}, "slope wants N:M"),
    ],
)
def test_options_that_mean_nothing_are_refused(method: str, options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make(method, options)


def test_a_recipe_says_how_much_only_where_no_pattern_does() -> None:
    with pytest.raises(ValueError, match="the N:M pattern says how much"):
        recipe("wanda", 0.5, **PATTERN)
    with pytest.raises(ValueError, match="how much to remove is missing"):
        recipe("wanda")
