"""Group-wise quantised recovery: the grid, the low-rank path beside it, and how they become plain weights again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compress import Recipe, apply
from compress.anatomy.blocks import Projection, blocks
from compress.anatomy.families import FAMILIES
from compress.calibration.stats import Stats
from compress.progress import silent
from compress.recovery import FOLDER
from compress.recovery.grouped import Grouped, bits_a_weight
from compress.training.job import Job
from compress.training.lora import train_norms_
from compress.training.quantised import Grid, QuantisedLinear, fold_, pooled, quantise_, quantised
from compress.training.rows import Corpus, Rows
from compress.training.settings import Recovery

IDS = torch.randint(0, 256, (2, 24), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def logits(model) -> Tensor:
    return model(IDS).logits


def trained_(model, size: float = 0.01) -> None:
    """Let every low-rank path change something."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, QuantisedLinear):
            nn.init.normal_(module.up, std=size)


def codes_of(weight: Tensor, grid: Grid) -> Tensor:
    """(out, in): found again from weights, scales and zero points alone."""
    columns = [
        (weight[:, i] - grid.zero[:, i // grid.group]) / grid.scale[:, i // grid.group] for i in range(weight.shape[1])
    ]
    return torch.stack(columns, dim=1)


def test_a_grid_by_hand() -> None:
    weight = torch.tensor([[0.0, 1.12, 2.0, 3.0, 5.0, 5.0], [-1.0, 2.0, 0.55, 0.55, 0.0, 30.0]])
    grid = quantised(weight, bits=4, group=4)
    assert grid.codes.tolist() == [[0, 6, 10, 15, 0, 0], [0, 15, 8, 8, 0, 15]]
    assert torch.allclose(grid.scale, torch.tensor([[0.2, 1.0], [0.2, 2.0]]))
    assert grid.zero.tolist() == [[0.0, 5.0], [-1.0, 0.0]]
    expected = torch.tensor([[0.0, 1.2, 2.0, 3.0, 5.0, 5.0], [-1.0, 2.0, 0.6, 0.6, 0.0, 30.0]])
    assert torch.allclose(grid.weight, expected, atol=1e-6)
    # 12 codes of 4 bits, 4 scales and 4 zero points of 32.
    assert bits_a_weight([grid]) == pytest.approx((12 * 4 + 8 * 32) / 12)


def test_pooling_sums_each_group() -> None:
    assert pooled(torch.tensor([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]]), 4).tolist() == [[[10.0, 11.0]]]
    assert pooled(torch.tensor([1.0, 2.0]), 64).tolist() == [3.0]


def test_the_low_rank_path_reads_sums_and_starts_at_nothing() -> None:
    torch.manual_seed(0)
    plain, inputs = nn.Linear(10, 3), torch.randn(5, 10)
    bias = plain.bias.detach().clone()
    grid = quantised(plain.weight.detach(), bits=8, group=4)
    module = QuantisedLinear(Projection("q", plain), grid, 2, torch.Generator().manual_seed(0))
    base = inputs @ grid.weight.T + bias
    assert torch.allclose(module(inputs), base, atol=1e-6)
    nn.init.normal_(module.up)
    sums = torch.stack([inputs[:, :4].sum(1), inputs[:, 4:8].sum(1), inputs[:, 8:].sum(1)], dim=1)
    assert torch.allclose(module(inputs), base + 2 * sums @ module.down.T @ module.up.T, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "gpt2", "gpt_neox", "opt", "phi3", "qwen2"])
def test_a_folded_model_says_the_same_with_plain_modules(make_model, family: str) -> None:
    model = make_model(family)
    dense, tree = logits(model), {name: type(module) for name, module in model.named_modules()}
    quantise_(model, (4, 20), 3, 0)
    start = logits(model)
    assert float((start - dense).abs().max()) > 1e-2
    trained_(model)
    unfolded = logits(model)
    assert float((unfolded - start).abs().max()) > 1e-2
    grids = fold_(model)
    assert float((logits(model) - unfolded).abs().max()) < 1e-4 * max(1.0, float(unfolded.abs().max()))
    assert {name: type(module) for name, module in model.named_modules()} == tree
    assert len(grids) == sum(len(block.projections) for block in blocks(model))


@pytest.mark.parametrize(
    ("family", "dtype", "bits"),
    [
        ("llama", torch.float32, 8),
        ("llama", torch.bfloat16, 4),
        ("gpt2", torch.float32, 4),
        ("gpt2", torch.float16, 8),
        ("phi3", torch.float16, 8),
    ],
)
def test_folded_weights_lie_on_the_grid(make_model, family: str, dtype: torch.dtype, bits: int) -> None:
    model = make_model(family).to(dtype)
    before = {p.name: quantised(p.weight, bits, 20) for p in blocks(model)[1].projections}
    quantise_(model, (bits, 20), 3, 0)
    trained_(model, 0.002)
    grids = fold_(model)
    path = FAMILIES[family].layers
    for projection in blocks(model)[1].projections:
        grid, weight = grids[f"{path}.1.{projection.name}"], projection.weight
        assert weight.dtype == dtype
        assert torch.equal(weight, grid.weight.to(dtype))
        assert torch.equal(grid.codes, before[projection.name].codes)
        assert torch.equal(grid.scale, before[projection.name].scale)
        assert not torch.equal(grid.zero, before[projection.name].zero)
        found = codes_of(weight.float(), grid)
        assert torch.equal(found.round().to(torch.uint8), grid.codes)
        assert float((found - found.round()).abs().max()) < (0.01 if dtype == torch.float32 else 0.5)
        assert max(len(set(row.tolist())) for group in weight.split(20, dim=1) for row in group) <= 2**bits


def test_only_low_rank_paths_are_trained_and_norms_and_biases_if_asked(make_model, tmp_path: Path) -> None:
    model = make_model("opt")
    quantise_(model, (8, 64), 2, 0)

    def trainable() -> set[str]:
        return {
            name.split(".", 4)[-1] for name, value in model.named_parameters() if value.requires_grad and ".1." in name
        }

    paths = {f"{p}.{side}" for p in FAMILIES["opt"].projections for side in ("up", "down")}
    assert trainable() == paths
    train_norms_(job_of(model, model, tmp_path))
    norms = {f"{norm}.{kind}" for norm in ("self_attn_layer_norm", "final_layer_norm") for kind in ("weight", "bias")}
    assert trainable() == paths | norms | {f"{p}.plain.bias" for p in FAMILIES["opt"].projections}
    assert model.model.decoder.final_layer_norm.weight.requires_grad
    assert not model.model.decoder.embed_tokens.weight.requires_grad


def rows(many: int, seed: int) -> Rows:
    ids = torch.randint(0, 256, (many, 32), generator=torch.Generator().manual_seed(seed))
    counted = torch.ones_like(ids, dtype=torch.bool)
    counted[:, 0] = False
    return Rows(ids, torch.arange(32).expand_as(ids).contiguous(), counted)


def job_of(model, original, work: Path, **changes: object) -> Job:
    given = {"rule": "grouped", "options": {"bits": 4, "group": 16}, "epochs": 4, "rank": 4}
    recovery = Recovery.model_validate({**given, **changes})
    return Job(model, original, recovery, Corpus(rows(24, 0), rows(4, 1), ()), Stats(()), work, silent)


def test_recovery_beats_mere_quantisation_and_leaves_a_plain_model(make_model, tmp_path: Path) -> None:
    original, model = make_model(), make_model()
    apply(model, Recipe(method="magnitude", sparsity=0.2))
    layer = blocks(model)[0].mlp_out
    codes = quantised(layer.weight, 4, 16).codes
    job = job_of(model, original, tmp_path)
    done = job.recovery.chosen().recover_(job)
    quantised_only = done.points[0].held_out
    assert quantised_only > done.before + 0.02
    assert done.after < quantised_only - 0.003
    assert done.ranks == (4, 4, 4)
    assert f"{done.before:.4f} pruned, {quantised_only:.4f} quantised, {done.after:.4f} recovered" in done.notes[1]
    again = quantised(blocks(model)[0].mlp_out.weight, 4, 16)
    assert torch.equal(again.codes, codes)
    assert all(value.requires_grad for value in model.parameters())


def test_norms_in_half_precision_stay_and_it_is_said(make_model, tmp_path: Path) -> None:
    model = make_model().bfloat16()
    norms = [value.clone() for value in model.parameters() if value.ndim == 1]
    job = job_of(model, make_model(), tmp_path, epochs=1)
    assert job.recovery.chosen().recover_(job).notes[-1].startswith("norms and biases stayed as they were: bfloat16")
    after = [value for value in model.parameters() if value.ndim == 1]
    assert all(torch.equal(*pair) for pair in zip(norms, after, strict=True))


def test_adapters_that_stay_apart_are_refused(make_model, tmp_path: Path) -> None:
    model = make_model()
    before = logits(model)
    with pytest.raises(ValueError, match="the rule grouped has no adapters that could stay apart"):
        Grouped().recover_(job_of(model, model, tmp_path, merge=False))
    assert torch.equal(logits(model), before)


def test_other_widths_than_8_and_4_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="option of recovery rule 'grouped': bits"):
        FOLDER.make("grouped", {"bits": 3})
