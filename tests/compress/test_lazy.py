"""SLoPe's recovery: zeros stay zero, gradients are the paper's, and adapters stand beside the weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from compress import CompressError, Recipe, apply
from compress.adapters import put_on_
from compress.anatomy.blocks import Projection, blocks
from compress.calibration.stats import Stats
from compress.cutting.patterns import lowest_in_rows
from compress.progress import silent
from compress.recovery.lazy import Lazy
from compress.training.job import Job
from compress.training.masked import MaskedLinear, masked_, pattern_of, unmasked_
from compress.training.rows import Corpus, Rows
from compress.training.settings import Recovery


def sparse(rows: int, columns: int, pattern: tuple[int, int] = (2, 4)) -> nn.Linear:
    torch.manual_seed(0)
    module = nn.Linear(columns, rows)
    gone = lowest_in_rows(module.weight.detach().abs(), pattern, 0.0)
    module.weight.data.masked_fill_(gone, 0.0)
    return module


def masked(module: nn.Linear, pattern: tuple[int, int] | None = None) -> MaskedLinear:
    return MaskedLinear(Projection("test", module), pattern)


def prune(model, pattern: str = "2:4", **options: object):
    apply(model, Recipe(method="slope", options={"pattern": pattern, **options}))
    return model


def test_training_is_that_of_a_dense_weight_times_its_mask() -> None:
    plain = sparse(8, 16)
    module, kept = masked(copy.deepcopy(plain)), plain.weight.detach() != 0
    weight = plain.weight.detach().clone().requires_grad_(True)
    ours = torch.optim.AdamW([module.weight], lr=0.05, weight_decay=0.3)
    theirs = torch.optim.AdamW([weight], lr=0.05, weight_decay=0.3)
    for step in range(5):
        torch.manual_seed(step)
        x, target = torch.randn(3, 4, 16), torch.randn(3, 4, 8)
        for optimizer, y in ((ours, module(x)), (theirs, functional.linear(x, weight * kept, plain.bias))):
            optimizer.zero_grad()
            functional.mse_loss(y, target).backward()
            optimizer.step()
        assert not module.weight[~kept].any()
        assert not module.weight.grad[~kept].any()
    assert not ours.state[module.weight]["exp_avg"][~kept].any()
    assert torch.allclose(module.weight, weight, atol=1e-6)
    assert bool((module.weight != plain.weight)[kept].all())


def test_infinite_slopes_do_not_get_through_the_mask() -> None:
    module = masked(sparse(8, 16))
    (module(torch.ones(1, 16)) * torch.inf).sum().backward()
    assert torch.equal(module.weight.grad.isinf(), module.kept)
    assert not module.weight.grad[~module.kept].any()


def test_slopes_of_the_inputs_go_through_both_masks() -> None:
    module = nn.Linear(4, 2, bias=False)
    module.weight.data = torch.tensor([[4.0, 0.0, 0.0, 2.0], [3.0, 0.0, 5.0, 0.0]])
    once, twice = masked(module), masked(module, (1, 2))
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]])
    # Of column 0 only 4, the larger, stays; columns 2 and 3 have one weight each.
    for layer, expected in (
        (once, [[4.0 + 30.0, 0.0, 50.0, 2.0], [-6.0, 0.0, -10.0, 0.0]]),
        (twice, [[4.0, 0.0, 50.0, 2.0], [0.0, 0.0, -10.0, 0.0]]),
    ):
        inputs = x.clone().requires_grad_(True)
        y = layer(inputs)
        assert y.tolist() == [[12.0, 18.0], [2.0, 0.0]]
        y.backward(torch.tensor([[1.0, 10.0], [0.0, -2.0]]))
        assert inputs.grad.tolist() == expected
        assert layer.weight.grad.tolist() == [[1.0, 0.0, 0.0, 4.0], [10.0, 0.0, 30.0, 0.0]]


def test_columns_are_chosen_again_every_so_many_steps() -> None:
    module = masked(sparse(8, 16), (2, 4))
    after_step = Lazy(refresh=2).renewal([module])
    x = torch.randn(1, 16)

    def step() -> Tensor:
        module(x)
        used = module.both
        torch.manual_seed(1 + int(used.sum()))
        module.weight.data = torch.randn(8, 16) * module.kept
        after_step()
        return used

    first, second, third = step(), step(), step()
    assert first is second
    assert not torch.equal(second, third)
    assert torch.equal(third.T.reshape(16, 2, 4).sum(dim=2).clamp(max=2), third.T.reshape(16, 2, 4).sum(dim=2))


def test_an_adapter_begins_at_nothing_and_gives_every_row_its_own_term() -> None:
    module, x = masked(sparse(8, 16)), torch.randn(3, 5, 16)
    before = module(x)
    module.adapt_(4, torch.Generator().manual_seed(0))
    assert torch.equal(module(x), before)
    torch.manual_seed(1)
    module.right.data = torch.randn(4, 16)
    term = (module(x) - before).detach()
    for row in range(3):
        for token in range(5):
            by_hand = module.left @ (module.right @ x[row, token]) / 4
            assert torch.allclose(term[row, token], by_hand, atol=1e-5)
    first, second = module.factors()
    assert torch.allclose(functional.linear(x, second @ first), term, atol=1e-5)


def test_an_adapter_learns_beside_a_frozen_weight() -> None:
    module = masked(sparse(8, 16))
    module.adapt_(2, torch.Generator().manual_seed(0))
    module.weight.requires_grad_(False)
    module(torch.randn(4, 16)).square().sum().backward()
    assert module.weight.grad is None
    assert bool(module.right.grad.any())
    assert not module.left.grad.any()  # by R, which is zero


@pytest.mark.parametrize("pattern", [(1, 2), (2, 4), (1, 4), (2, 8), (5, 8), (3, 16)])
def test_patterns_are_found(pattern: tuple[int, int]) -> None:
    weight = sparse(16, 48, pattern).weight.detach()
    assert pattern_of(weight) == pattern
    weight[3] = 0.0  # as where SparseGPT meets an input that is always zero
    assert pattern_of(weight) == pattern


def test_no_pattern_is_found_where_none_is() -> None:
    weight = torch.randn(16, 48)
    assert pattern_of(weight) is None
    assert pattern_of(weight.masked_fill(lowest_in_rows(weight.abs(), None, 0.5), 0.0)) is None


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "phi3", "opt"])
def test_a_family_is_masked_and_put_back(make_model, family: str) -> None:
    model = prune(make_model(family))
    ids, before = torch.arange(24).view(2, 12), copy.deepcopy(model)
    found = masked_(model, double=True)
    assert len(found) == sum(len(block.projections) for block in blocks(before))
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, before(ids).logits, atol=1e-5)
        for module in found.values():
            module.weight.mul_(2.0)
    unmasked_(model, found)
    assert [type(module) for module in model.modules()] == [type(module) for module in before.modules()]
    assert model.state_dict().keys() == before.state_dict().keys()
    for ours, theirs in zip(blocks(model), blocks(before), strict=True):
        for one, other in zip(ours.projections, theirs.projections, strict=True):
            assert torch.equal(one.weight, 2.0 * other.weight)


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_trains_single_precision_weights(make_model, autocast: bool) -> None:
    model = prune(make_model()).to(torch.float32 if autocast else torch.bfloat16)
    ids = torch.arange(24).view(2, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        expected = model(ids).logits
        found = masked_(model)
        logits = model(ids).logits
    assert logits.dtype == expected.dtype
    assert torch.allclose(logits.float(), expected.float(), atol=0.05 * float(expected.detach().abs().max()))
    logits.float().square().sum().backward()
    assert {module.weight.grad.dtype for module in found.values()} == {torch.float32}
    unmasked_(model, found)
    assert model.model.layers[0].mlp.up_proj.weight.dtype == (torch.float32 if autocast else torch.bfloat16)


def test_what_cannot_be_masked_is_refused_with_the_model_untouched(make_model) -> None:
    model = make_model()
    with pytest.raises(CompressError, match="no projection of the decoder layers has zeros; allowed: models with"):
        masked_(model)
    weight = model.model.layers[2].mlp.up_proj.weight.data
    torch.manual_seed(0)
    weight.masked_fill_(lowest_in_rows(torch.rand(64, 72), (3, 9), 0.0), 0.0)
    with pytest.raises(CompressError, match=r"2\.mlp\.up_proj: 64 rows; double_pruned wants multiples of the 9"):
        masked_(model, double=True)
    weight.masked_fill_(torch.rand(64, 72) < 0.3, 0.0)
    with pytest.raises(CompressError, match=r"layers\.2\.mlp\.up_proj: double_pruned wants zeros in an N:M pattern"):
        masked_(model, double=True)
    assert type(model.model.layers[2].mlp.up_proj) is nn.Linear
    assert list(masked_(model)) == ["model.layers.2.mlp.up_proj"]


def test_the_adapters_have_the_last_part_of_the_steps() -> None:
    assert Lazy().switch(1000) == pytest.approx(0.9)
    assert Lazy(share=0.01).switch(10_000) == pytest.approx(0.99)
    assert Lazy(share=0.01).switch(100) == pytest.approx(0.9)  # 10 steps
    assert Lazy().switch(12) == pytest.approx(0.5)
    assert Lazy(share=1.0).switch(5) == 0.0


def job(model, original, work: Path, **settings: object) -> Job:
    """Eight rows of 16 tokens that count up by 1 or 2, which two more held out do too."""
    starts = torch.arange(10).unsqueeze(1)
    ids = (20 * starts + torch.arange(16) * (1 + starts % 2)) % 320
    counted = torch.ones_like(ids, dtype=torch.bool)
    counted[:, 0] = False
    rows = Rows(ids, torch.arange(16).repeat(10, 1), counted)
    parts = (Rows(rows.ids[at], rows.positions[at], rows.counted[at]) for at in (slice(8), slice(8, 10)))
    given = {"rule": "lazy", "objective": "next_token", "rank": 4, "epochs": 12, "evaluate_every": 4, **settings}
    recovery = Recovery.model_validate(
        {"batch": 4, "save_every": 3, "learning_rate": 3e-3, "precision": "float32", **given}
    )
    return Job(model, original, recovery, Corpus(*parts, ()), Stats(()), work, silent)


def test_recovery_trains_around_the_zeros_and_leaves_adapters_apart(make_model, tmp_path: Path) -> None:
    model = prune(make_model())
    before, task = copy.deepcopy(model), job(model, model, tmp_path, norms=True)
    recovered = Lazy(share=0.25).recover_(task)
    assert recovered.after < recovered.before
    assert recovered.ranks == (4, 4, 4)
    assert [point.step for point in recovered.points] == [0, 4, 8, 12, 14, 18, 22, 24]
    assert recovered.points[-1].tokens == recovered.tokens == 24 * 4 * 16
    assert [type(module) for module in model.modules()] == [type(module) for module in before.modules()]
    for (name, ours), theirs in zip(model.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(ours, theirs) == ("embed" in name)
        assert torch.equal(ours == 0, theirs == 0)
    assert cross_entropy(put_on_(model, tmp_path / "adapter"), task.corpus.held_out) == pytest.approx(recovered.after)


def cross_entropy(model, rows: Rows) -> float:
    with torch.no_grad():
        logits = model(input_ids=rows.ids, position_ids=rows.positions).logits[:, :-1]
    return float(functional.cross_entropy(logits.flatten(0, 1), rows.ids[:, 1:].flatten()))


def test_a_killed_recovery_ends_with_the_same_bits(make_model, tmp_path: Path) -> None:
    class Killed(Exception):  # noqa: N818
        pass

    def killer(after: int):
        def progress(what: str, done: int, total: int) -> None:
            nonlocal after
            after -= what.startswith("training")
            if after == 0:
                raise Killed

        return progress

    def pruned():
        return prune(make_model(num_hidden_layers=1))

    rule, kills = Lazy(double_pruned=True), 0
    works = tmp_path / "whole", tmp_path / "parts"
    for work in works:
        work.mkdir()
    whole, parts = pruned(), pruned()
    expected = rule.train_(job(whole, whole, works[0], epochs=6)).factors
    for after in (5, 8, 1_000):  # two steps behind a state, in the first part and in the second; never
        parts = pruned()
        task = replace(job(parts, whole, works[1], epochs=6), progress=killer(after))
        torch.manual_seed(after)
        try:
            factors = rule.train_(task).factors
        except Killed:
            kills += 1
    assert kills == 2
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(parts.parameters(), whole.parameters(), strict=True))
    assert all(torch.equal(a, b) for name in expected for a, b in zip(factors[name], expected[name], strict=True))
