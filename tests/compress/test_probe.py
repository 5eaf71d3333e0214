"""The quick look at the loss."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from compress import Calibration
from compress.cutting.probe import probe, sample, warning


def test_the_probe_is_transformers_own_loss(make_model, tokenizer) -> None:
    model = make_model()
    ids = sample(model, tokenizer, Calibration(file=Path(__file__), windows=3, tokens=40))
    assert ids.shape == (3, 40)
    with torch.no_grad():
        assert probe(model, ids) == pytest.approx(float(model(input_ids=ids, labels=ids).loss), rel=1e-5)


def test_only_an_explosion_is_worth_a_warning() -> None:
    assert warning(3.0, 3.0 + math.log(1.99)) is None
    assert warning(3.0, 2.0) is None
    assert "more than 2 times" in str(warning(3.0, 3.0 + math.log(2.01)))
    assert warning(3.0, math.nan) is not None
