from __future__ import annotations

import copy
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.nn import functional

from compress import CompressError, Recipe, apply, open_model, save
from compress.adapters import attach_, attached, effective_rank, projection_names
from compress.anatomy.blocks import blocks
from compress.anatomy.head import head_of, last_hidden
from compress.calibration.stats import BlockStats, Stats
from compress.progress import silent
from compress.training.digests import weights_digest
from compress.training.job import Job
from compress.training.lora import trial
from compress.training.losses import losses_of, matched
from compress.training.objectives import Aim, Mixture, token_loss
from compress.training.rows import Corpus, Rows
from compress.training.schedule import batch_of, rate
from compress.training.settings import Recovery
from compress.training.train import fit_

WINDOW = 24


def rows(many: int, seed: int) -> Rows:
    """Text that can be learnt: every token is followed by the same other one, three times of four."""
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 250, (many, WINDOW), generator=draw)
    for place in range(1, WINDOW):
        follows = torch.rand(many, generator=draw) < 0.75
        ids[:, place] = torch.where(follows, (ids[:, place - 1] * 7 + 3) % 250, ids[:, place])
    counted = torch.ones_like(ids, dtype=torch.bool)
    counted[:, 0] = False
    return Rows(ids, torch.arange(WINDOW).expand(many, -1).clone(), counted)


@pytest.fixture
def make_job(make_model, tmp_path: Path):
    def make(name: str = "work", **settings: object) -> Job:
        """A model without a fifth of its channels, and what it was."""
        original, model = make_model(), make_model()
        apply(model, Recipe(method="random", sparsity=0.2))
        given = {"rank": 2, "learning_rate": 0.01, "evaluate_every": 4, "save_every": 2, "batch": 4}
        given |= {"precision": "float32", **settings}
        work = tmp_path / name
        work.mkdir(exist_ok=True)
        return Job(
            model=model,
            original=original,
            recovery=Recovery.model_validate(given),
            corpus=Corpus(rows(32, seed=1), rows(6, seed=2), ()),
            stats=Stats(tuple(BlockStats(angle=0.1 * index) for index in range(3))),
            work=work,
            progress=silent,
        )

    return make


@pytest.mark.parametrize("family", ["llama", "gemma2", "granite", "cohere"])
@pytest.mark.parametrize(("share", "temperature"), [(1.0, 1.0), (0.0, 1.0), (0.3, 2.0)])
def test_the_loss_in_pieces_is_the_plain_loss(
    make_model, monkeypatch, family: str, share: float, temperature: float
) -> None:
    """Values and gradients, with soft caps and divisors, over pieces that do not divide the tokens."""
    monkeypatch.setattr("compress.training.objectives.PIECE", 7)
    more = {"logits_scaling": 3.0} if family == "granite" else {}
    student, teacher = make_model(family, 0, **more), make_model(family, 1, **more)
    ids = rows(2, seed=0).ids
    hidden = last_hidden(student, ids).detach().requires_grad_()
    with torch.no_grad():
        theirs, taught = teacher(ids).logits[:, :-1].flatten(0, 1), last_hidden(teacher, ids)[:, :-1].flatten(0, 1)
    aim = Aim(ids[:, 1:].flatten(), taught, head_of(teacher))
    found = token_loss(hidden[:, :-1].flatten(0, 1), head_of(student), aim, Mixture(share, temperature))
    (slope,) = torch.autograd.grad(found, hidden)

    again = last_hidden(student, ids).detach().requires_grad_()
    logits = head_of(student).logits(again[:, :-1].flatten(0, 1))
    logs, aims = (logits / temperature).log_softmax(-1), (theirs / temperature).log_softmax(-1)
    divergence = functional.kl_div(logs, aims, log_target=True, reduction="sum") * temperature**2
    plain = (1 - share) * divergence + share * functional.cross_entropy(logits, aim.targets, reduction="sum")
    (expected,) = torch.autograd.grad(plain, again)
    assert found.item() == pytest.approx(plain.item(), rel=1e-5)
    assert torch.allclose(slope, expected, atol=1e-5 * float(expected.abs().max()))


def test_a_student_that_is_its_teacher_has_nothing_to_learn(make_job) -> None:
    job = make_job()
    losses = losses_of(replace(job, model=job.original))
    # Hidden states are kept in half precision.
    assert abs(losses.mean(job.corpus.held_out)) < 1e-5
    assert losses_of(job).mean(job.corpus.held_out) > 0.01


def test_learning_rates_rise_in_a_line_and_fall_in_a_cosine_to_a_tenth() -> None:
    found = [rate(0.2, step, 10) for step in range(10)]
    assert found[:3] == [0.5, 1.0, 1.0]
    assert found[6] == pytest.approx(0.1 + 0.9 * 0.5)  # half way between steps 2 and 10
    assert found[9] == pytest.approx(0.1 + 0.45 * (1 + torch.cos(torch.tensor(torch.pi * 7 / 8)).item()))


def test_every_epoch_reads_every_row_once_in_another_order() -> None:
    recovery = Recovery(batch=4, epochs=2)
    epochs = [torch.cat([batch_of(recovery, 10, step) for step in range(start, start + 3)]) for start in (0, 3)]
    assert all(sorted(epoch.tolist()) == list(range(10)) for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()


def test_accumulated_parts_are_one_batch(make_job) -> None:
    whole, parts = make_job("whole"), make_job("parts", accumulate=2)
    for job in (whole, parts):
        attach_(job.model, job.uniform, seed=0)
        fit_(job, "lora", part=(0.0, 0.25))
    ours, theirs = (
        torch.cat([weight.detach().flatten() for weight in job.model.parameters() if weight.requires_grad])
        for job in (whole, parts)
    )
    # Adam makes a step of full size of the rounding of a gradient near zero: one weight in a thousand may be such.
    assert ((ours - theirs).abs() > 1e-5).float().mean() < 1e-3


def test_in_bfloat16_it_learns_as_much_and_leaves_the_weights_as_they_were(make_job) -> None:
    learnt = {"objective": "next_token", "epochs": 4}
    whole, lower = make_job("whole", **learnt), make_job("lower", precision="bfloat16", **learnt)
    before = {name: value.clone() for name, value in lower.model.named_parameters()}
    fits = []
    for job in (whole, lower):
        adapters = attach_(job.model, job.uniform, seed=0)
        fits.append(fit_(job, "lora"))
        adapters.remove_()
    gains = [fit.before - fit.after for fit in fits]
    assert gains[0] > 0.1
    assert gains[1] == pytest.approx(gains[0], rel=0.1)
    assert all(torch.equal(value, before[name]) for name, value in lower.model.named_parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_model_in_half_precision_is_trained_in_its_own(make_job, precision: str) -> None:
    job = make_job(precision=precision)
    job.model.bfloat16()
    attach_(job.model, job.uniform, seed=0)
    fit_(job, "lora", part=(0.0, 0.25))
    assert {value.dtype for value in job.model.parameters() if not value.requires_grad} == {torch.bfloat16}


def test_what_is_in_half_precision_itself_is_not_trained(make_job) -> None:
    """Steps of a learning rate that suits them are smaller than what bfloat16 can tell from none."""
    norms, full = make_job("norms", norms=True), make_job("full", rule="full")
    for job in (norms, full):
        job.model.bfloat16()
    before = [value.clone() for value in norms.model.parameters() if value.ndim == 1]
    found = norms.recovery.chosen().recover_(norms)
    assert found.notes[0] == "norms and biases stayed as they were: bfloat16 rounds small steps away"
    after = [value for value in norms.model.parameters() if value.ndim == 1]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    with pytest.raises(CompressError, match="weights of bfloat16 round small steps away; open the model in float32"):
        full.recovery.chosen().recover_(full)


def test_checkpointing_changes_nothing(make_job) -> None:
    found = []
    for wanted in (False, True):
        job = make_job(f"work-{wanted}", checkpointing=wanted)
        attach_(job.model, job.uniform, seed=0)
        fit_(job, "lora", part=(0.0, 0.5))
        found.append(weights_digest(job.model))
    assert found[0] == found[1]


class KilledError(Exception):
    """Stands for a SIGKILL: nothing in the training catches it."""


@pytest.mark.parametrize(("step", "dropout"), [(1, 0.0), (3, 0.0), (4, 0.0), (7, 0.0), (7, 0.5)])
def test_killed_at_any_step_it_ends_with_the_same_bits(make_job, step: int, dropout: float) -> None:
    def made(name: str) -> Job:
        job = make_job(name, norms=True)
        for module in job.model.modules():
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = dropout
        return job

    def kill(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == step:
            raise KilledError

    expected = made("whole").recovery.chosen().recover_(whole := made("whole"))
    first, second = (made("killed") for _ in range(2))
    with pytest.raises(KilledError):
        first.recovery.chosen().recover_(replace(first, progress=kill))
    found = second.recovery.chosen().recover_(second)
    assert weights_digest(second.model) == weights_digest(whole.model)
    assert (found.points, found.after, found.tokens) == (expected.points, expected.after, expected.tokens)


def test_a_full_disk_stops_and_keeps_the_state_before(make_job, monkeypatch) -> None:
    whole = make_job("whole")
    whole.recovery.chosen().recover_(whole)
    real, calls = save_file, []

    def full(*given: object, **more: object) -> None:
        calls.append(given)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(*given, **more)

    monkeypatch.setattr("compress.training.state.save_file", full)
    job, again = make_job("full"), make_job("full")
    with pytest.raises(CompressError, match="the state of the training: No space left on device; the state"):
        job.recovery.chosen().recover_(job)
    assert sorted(path.name for path in job.work.glob("*lora*")) == ["lora.safetensors"]
    again.recovery.chosen().recover_(again)
    assert weights_digest(again.model) == weights_digest(whole.model)


def test_a_training_of_other_data_settings_or_weights_is_not_gone_on_with(make_job) -> None:
    def begun(job: Job) -> None:
        attach_(job.model, job.uniform, seed=0)
        fit_(job, "lora")

    begun(make_job())
    begun(make_job())
    with pytest.raises(CompressError, match="begun with other data; put that back to go on, or remove this file"):
        begun(replace(make_job(), corpus=Corpus(rows(32, seed=3), rows(6, seed=2), ())))
    with pytest.raises(CompressError, match="begun with other settings"):
        begun(make_job(learning_rate=0.02))
    other = make_job()
    with torch.no_grad():
        blocks(other.model)[1].mlp_out.weight[0, 0] += 1.0
    with pytest.raises(CompressError, match="begun with other weights"):
        begun(other)


def test_a_loss_of_nan_stops_with_step_and_rows_and_keeps_the_last_state(make_job) -> None:
    job = make_job()

    def break_(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == 4:
            with torch.no_grad():
                next(value for value in job.model.parameters() if value.requires_grad).fill_(float("nan"))

    attach_(job.model, job.uniform, seed=0)
    with pytest.raises(
        CompressError, match=r"held-out loss is NaN|loss is NaN or infinite at step 5, rows \d+, "
    ) as caught:
        fit_(replace(job, progress=break_, recovery=job.recovery.model_copy(update={"evaluate_every": 3})), "lora")
    assert f"an earlier state is kept in {job.work / 'lora.safetensors'}" in str(caught.value)
    assert (job.work / "lora.safetensors").exists()


def test_the_best_held_out_values_are_kept_and_patience_ends_a_training(make_job) -> None:
    job = make_job(learning_rate=0.9, patience=2, evaluate_every=1, warmup=0.0)
    found = job.recovery.chosen().recover_(job)
    assert len(found.points) == 1 + 2  # far too fast: nothing is better than the start
    assert found.after == found.before == found.points[0].held_out
    assert losses_of(job).mean(job.corpus.held_out) == pytest.approx(found.after, abs=1e-6)


def test_recovery_brings_back_what_the_cut_lost_and_says_where(make_job) -> None:
    job = make_job(epochs=4, objective="next_token", learning_rate=0.03)
    found = job.recovery.chosen().recover_(job)
    assert found.after < found.before - 0.4
    assert losses_of(job).mean(job.corpus.held_out) == pytest.approx(found.after, abs=1e-4)  # merged, and still that
    assert found.adapters == "merged"
    assert [layer.rank for layer in found.layers] == [2, 2, 2]
    assert all(0 < layer.effective_rank <= 2 + 1e-4 and layer.relative_norm > 0 for layer in found.layers)
    assert sum(layer.without for layer in found.layers) > 0
    assert type(job.model.get_submodule("model.layers.0.mlp.down_proj")) is torch.nn.Linear


def test_ranks_by_layer_on_layers_of_different_widths(make_model) -> None:
    model = make_model()
    apply(model, Recipe(method="random", sparsity=0.3, budget={"rule": "uniform"}))
    ids = rows(2, seed=0).ids
    with torch.no_grad():
        before = model(ids).logits
    found = attach_(model, (1, 5, 3), seed=0)
    for adapter in found.all:
        first, second = adapter.factors
        rank = (1, 5, 3)[adapter.layer]
        assert (first.shape, second.shape) == ((rank, adapter.weight.shape[1]), (adapter.weight.shape[0], rank))
        assert adapter.module.scaling["default"] == 2.0
    with torch.no_grad():
        assert torch.equal(model(ids).logits, before)


@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
def test_merged_adapters_give_the_adapted_logits(make_model, family: str) -> None:
    model = make_model(family)
    found = attach_(model, (2, 3, 4), seed=0)
    torch.manual_seed(0)
    for adapter in found.all:
        torch.nn.init.normal_(adapter.module.lora_B["default"].weight, std=0.1)
    ids = rows(2, seed=0).ids
    with torch.no_grad():
        expected = model(ids).logits
        with found.without(1):
            assert float((model(ids).logits - expected).abs().max()) > 1e-3
        found.merge_()
        assert float((model(ids).logits - expected).abs().max()) < 1e-4
    assert not hasattr(model, "peft_config")


def test_merging_under_the_mask_keeps_zeros(make_job) -> None:
    job = make_job()
    apply(job.model, Recipe(method="magnitude", options={"pattern": "2:4"}))
    zeros = {name: job.model.get_submodule(name).weight == 0 for name in projection_names(job.model)}
    found = replace(job, masked=True).recovery.chosen().recover_(replace(job, masked=True))
    assert found.adapters == "merged under the mask"
    assert all(torch.equal(job.model.get_submodule(name).weight == 0, zero) for name, zero in zeros.items())
    assert losses_of(job).mean(job.corpus.held_out) == pytest.approx(found.after, abs=1e-6)


def test_an_adapter_kept_apart_is_opened_by_plain_peft_on_the_pruned_folder(make_job, tmp_path: Path) -> None:
    job = make_job(merge=False)
    receipt = apply(copy.deepcopy(job.original), Recipe(method="random", sparsity=0.2))
    found = job.recovery.chosen().recover_(job)
    save(job.model, None, tmp_path / "saved", receipt, adapter=job.work / "adapter")
    plain = open_model(tmp_path / "saved")
    assert found.adapters == "apart"
    assert losses_of(replace(job, model=plain)).mean(job.corpus.held_out) == pytest.approx(found.after, abs=1e-4)
    config = json.loads((tmp_path / "saved" / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tmp_path / "saved")
    (tmp_path / "saved" / "adapter").rename(tmp_path / "adapter")
    adapted = PeftModel.from_pretrained(open_model(tmp_path / "saved"), str(tmp_path / "adapter"))
    ids = rows(2, seed=0).ids
    with torch.no_grad():
        assert torch.allclose(adapted(ids).logits, plain(ids).logits, atol=1e-5)


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left")])
def test_an_adapter_that_cannot_be_saved_is_told_in_a_line(make_job, tmp_path: Path, monkeypatch, fault) -> None:
    def full(*_: object, **__: object) -> None:
        raise fault

    job = make_job()
    adapters = attach_(job.model, job.uniform, seed=0)
    monkeypatch.setattr(PeftModel, "save_pretrained", full)
    with pytest.raises(CompressError, match="adapter: cannot save the adapter: No space left"):
        adapters.save(tmp_path / "adapter")


def test_given_factors_become_the_update(make_model) -> None:
    model, ids = make_model(), rows(2, seed=0).ids
    draw = torch.Generator().manual_seed(0)
    factors, changed = {}, copy.deepcopy(model)
    for name in projection_names(model):
        weight = changed.get_submodule(name).weight
        first, second = (
            torch.randn(shape, generator=draw) * 0.05 for shape in ((2, weight.shape[1]), (weight.shape[0], 2))
        )
        factors[name] = first, second
        with torch.no_grad():
            weight.add_(second @ first)
    attached(model, factors)
    with torch.no_grad():
        assert float((model(ids).logits - changed(ids).logits).abs().max()) < 1e-4


def test_effective_rank_by_hand() -> None:
    assert effective_rank(torch.tensor([2.0, 2.0, 0.0])) == pytest.approx(2.0)
    assert effective_rank(torch.zeros(3)) == 0.0
    assert effective_rank(torch.tensor([3.0, 1.0])) == pytest.approx(1.7548, abs=1e-4)  # exp(-.75 ln .75 - .25 ln .25)


def test_a_trial_leaves_the_model_as_it_was_and_is_done_once(make_job) -> None:
    job = make_job()
    before = weights_digest(job.model)
    first = trial(job, (1, 2, 3), seed=5, steps=3)
    assert weights_digest(job.model) == before
    (kept,) = job.work.glob("trial-*.json")
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "held_out": -1.0}))
    assert trial(job, (1, 2, 3), seed=5, steps=3) == -1.0
    assert trial(job, (1, 2, 3), seed=6, steps=3) != first
    other = replace(job, recovery=job.recovery.model_copy(update={"learning_rate": 0.02}))
    assert trial(other, (1, 2, 3), seed=5, steps=3) > 0
    kept.write_text("{")
    with pytest.raises(CompressError, match=r"not what a trial came to.*; remove it to start again"):
        trial(job, (1, 2, 3), seed=5, steps=3)


def test_a_teacher_of_another_vocabulary_is_refused(make_job, make_model) -> None:
    job = make_job()
    with pytest.raises(CompressError, match="the original knows 300 tokens, the pruned model 320"):
        losses_of(replace(job, original=make_model(vocab_size=300)))


def test_hidden_states_are_matched_layer_by_layer(make_job) -> None:
    matching = make_job(hidden=2.0)
    plain = replace(matching, recovery=matching.recovery.model_copy(update={"hidden": 0.0}))
    some = torch.arange(3)
    data = plain.corpus.held_out
    counted = int(data.counted[some, 1:].sum())
    with torch.no_grad():
        ids = data.ids[some]
        ours = plain.model(ids, output_hidden_states=True).hidden_states[1:-1]
        theirs = plain.original(ids, output_hidden_states=True).hidden_states[1:-1]
        found = float(losses_of(matching).sum(data, some) - losses_of(plain).sum(data, some)) / counted / 2.0
    errors = [float((a - b).square().sum() / b.square().sum()) for a, b in zip(ours, theirs, strict=True)]
    # transformers shows the last layer's stream only behind the final norm, so the mean of the first two bounds it.
    assert found > sum(errors) / 3
    with pytest.raises(CompressError, match="the pruned model has 3 layers, the original 4"):
        matched([torch.ones(1)] * 3, [torch.ones(1)] * 4)


def test_rows_that_are_parted_stay_rows() -> None:
    assert len(rows(6, seed=0).between(1, 5)) == 4
