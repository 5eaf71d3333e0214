"""What a dry run says comes true."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compress import Calibration, CompressError, LayerShape, Recipe, Shape, apply, methods, ratios
from compress.planning.forecast import forecast, weightless

CALIBRATION = Calibration(file=Path(__file__), windows=4, tokens=32)
NAMES = [name for name in methods.names() if methods.make(name, {}).removes != "weights"]


@pytest.mark.parametrize("name", NAMES)
def test_the_forecast_comes_true(make_model, tokenizer, name: str) -> None:
    options = {"attention": True} if hasattr(methods.make(name, {}), "attention") else {}
    recipe = Recipe(method=name, sparsity=0.4, options=options, calibration=CALIBRATION)
    model, untouched = make_model(), make_model()
    receipt = apply(model, recipe, tokenizer)
    expected = forecast(untouched, receipt.shape)
    assert expected.removed == pytest.approx(receipt.sparsity_by_block)
    assert expected.ratios == {**receipt.ratios, "r_zero": None}
    left = list(model.parameters())
    assert expected.parameters[1] == sum(weight.numel() for weight in left)
    assert expected.weights_bytes[1] == sum(weight.nbytes for weight in left)
    assert expected.parameters[0] == ratios.count(untouched).parameters
    assert all(torch.equal(*pair) for pair in zip(untouched.parameters(), make_model().parameters(), strict=True))


def test_a_shape_of_another_model_is_refused(make_model) -> None:
    shape = Shape(72, 8, (LayerShape((0,), (0,), 65, 9, 3),) * 3)
    with pytest.raises(CompressError, match="layer 0: the shape was made for"):
        forecast(make_model(), shape)


def test_a_weightless_copy_holds_no_weights_and_stays_tied(make_model) -> None:
    copy = weightless(make_model(tie_word_embeddings=True))
    assert {weight.device.type for weight in copy.parameters()} == {"meta"}
    assert copy.get_input_embeddings().weight is copy.get_output_embeddings().weight
