"""Pruning and recovering in turns against the same turns done by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from compress import Calibration, CompressError, Recipe, apply, calibrate, cut_, ratios
from compress.anatomy.blocks import blocks
from compress.calibration.stats import Stats
from compress.planning.plan import plan
from compress.progress import silent
from compress.recover import Resources
from compress.shape import LayerShape, Shape
from compress.training import lora
from compress.training.data import corpus
from compress.training.job import Job
from compress.training.rows import Corpus

RECOVERY = {"rank": 2, "learning_rate": 0.01, "evaluate_every": 2, "save_every": 1}


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = tmp_path / "text.jsonl"
    rows = [{"text": f"row {number} of {number % 7} says {number * number}"} for number in range(120)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"sources": [str(path)], "tokens": 384, "window": 32}
    options = {"round_to": 1, "attention": True}
    return Recipe.model_validate(
        {"method": "random", "options": options, "sparsity": 0.4, "steps": 2, "recovery": {**RECOVERY, "data": data}}
    )


def flat(model: PreTrainedModel) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def test_steps_are_what_one_would_do_by_hand(make_model, tokenizer, recipe: Recipe, tmp_path: Path) -> None:
    original, model = make_model(), make_model()
    receipt = apply(model, recipe, tokenizer)

    by_hand, none = make_model(), Stats(())
    assert recipe.recovery is not None
    data = corpus(recipe.recovery.data, tokenizer, original, recipe.recovery.seed)
    assert len(data.train) == 12
    weights = sum(ratios.count(original).weights)
    for number, rows in enumerate((data.train.between(0, 6), data.train.between(6, 12)), 1):
        left = sum(ratios.count(by_hand).weights)
        share = 1 - (1 - 0.2 * number) * weights / left  # half of what should go in the end, each time
        part = recipe.model_copy(update={"sparsity": share, "steps": 1, "recovery": None})
        cut_(by_hand, plan(by_hand, part, calibrated(by_hand)))
        assert 1 - sum(ratios.count(by_hand).weights) / weights == pytest.approx(0.2 * number, abs=0.005)
        work = tmp_path / str(number)
        work.mkdir()
        job = Job(by_hand, original, recipe.recovery, Corpus(rows, data.held_out, ()), none, work, silent)
        lora.trained_(job, (2, 2, 2))
    assert torch.equal(flat(model), flat(by_hand))
    assert receipt.recovery is not None
    first, second = receipt.recovery.steps
    assert (first.reached, second.reached) == pytest.approx((0.2, 0.4), abs=0.005)
    assert (first.tokens, second.tokens, receipt.recovery.tokens) == (6 * 32, 6 * 32, 12 * 32)
    assert first.after <= first.before < second.before
    assert receipt.recovery.points[-1].tokens == 12 * 32
    assert (receipt.recovery.before, receipt.recovery.after) == (second.before, second.after)
    assert receipt.ratios["r_block"] == second.reached
    assert receipt.recipe == recipe


def calibrated(model: PreTrainedModel) -> Stats:
    return calibrate(model, torch.zeros(1, 8, dtype=torch.int64), Calibration(), frozenset())


def test_the_shape_of_all_steps_is_in_indices_of_the_original(make_model, tokenizer, recipe: Recipe) -> None:
    model, at_once = make_model(), make_model()
    plain = recipe.model_copy(update={"recovery": recipe.recovery.model_copy(update={"learning_rate": 1e-12})})
    receipt = apply(model, plain, tokenizer)
    cut_(at_once, receipt.shape)
    for mine, theirs in zip(blocks(model), blocks(at_once), strict=True):
        assert torch.allclose(mine.mlp_out.weight, theirs.mlp_out.weight, atol=1e-6)
    first = LayerShape((0, 2, 5), (1, 2), 8, 6, 3)
    then = Shape(8, 4, (first,)).then(Shape(8, 4, (LayerShape((1, 2), (0,), 3, 4, 2),)))
    assert then == Shape(8, 4, (LayerShape((2, 5), (1,), 8, 6, 3),))


@pytest.mark.parametrize("stopped", [1, 2])
def test_interrupted_in_any_step_the_same_call_ends_with_the_same_bits(
    make_model, tokenizer, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    whole = make_model()
    apply(whole, recipe, tokenizer)

    class StopError(Exception):
        pass

    def stop(what: str, done: int, of: int) -> None:
        if what.startswith(f"step {stopped} of 2: training") and done == 4:
            raise StopError

    resources = Resources(work=tmp_path / "work")
    with pytest.raises(StopError):
        apply(make_model(), recipe, tokenizer, resources=resources, progress=stop)
    trained: list[str] = []
    again = make_model()
    apply(again, recipe, tokenizer, resources=resources, progress=lambda what, *_: trained.append(what))
    assert torch.equal(flat(again), flat(whole))
    # Of six steps of the optimiser those after the last saved one are done again, and none of a step that was finished.
    done = [sum(what.startswith(f"step {number} of 2: training") for what in trained) for number in (1, 2)]
    assert done == ([3, 6] if stopped == 1 else [0, 3])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recovery": None}, "steps: each cut needs a recovery after it"),
        ({"method": "shortgpt", "options": {}}, "steps: goes with methods that remove channels; shortgpt does not"),
        ({"recovery": {"merge": False}}, "steps: adapters have to be merged before the next cut"),
    ],
)
def test_steps_that_cannot_be(recipe: Recipe, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({**recipe.model_dump(), **changes})


def test_steps_without_data_or_with_a_shape_are_refused(make_model, tokenizer, recipe: Recipe) -> None:
    model = make_model()
    shape = plan(model, recipe, calibrated(model))
    with pytest.raises(CompressError, match="steps: a given shape is cut at once"):
        apply(model, recipe, tokenizer, shape=shape)
    with pytest.raises(CompressError, match="steps: 12 training rows for 13 steps; give more data"):
        apply(make_model(), recipe.model_copy(update={"steps": 13}), tokenizer)
