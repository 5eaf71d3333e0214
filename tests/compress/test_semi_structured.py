"""Sparse kernels: who gets them, and, where there is a GPU, that they multiply as before."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compress import Recipe, apply
from compress.adapters import attach_
from compress.anatomy.blocks import Projection
from compress.cutting.semi_structured import accelerate_, fits, obstacle

SIZES = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "head_dim": 16,
}


def test_who_has_no_sparse_kernels() -> None:
    assert obstacle(torch.device("cpu"), torch.float16) == (
        "sparse kernels need a CUDA device, and the model is on cpu"
    )
    assert obstacle(torch.device("cuda"), torch.float32) == (
        "sparse kernels need float16 or bfloat16, and the model is in float32"
    )


def test_only_two_in_four_fit() -> None:
    module = nn.Linear(128, 64)
    with torch.no_grad():
        module.weight[:, 0::4] = 0
        module.weight[:, 3::4] = 0
        assert fits(Projection("test", module))
        module.weight[5, 8] = 1
        assert not fits(Projection("test", module))
    assert not fits(Projection("test", nn.Linear(72, 64)))


def test_adapters_beside_the_weights_stay_as_they_are(make_model, monkeypatch) -> None:
    handed: list[torch.Size] = []
    monkeypatch.setattr(
        "compress.cutting.semi_structured.to_sparse_semi_structured", lambda it: handed.append(it.shape) or it
    )
    model = make_model(**SIZES)
    apply(model, Recipe(method="slope", options={"modules": "mlp"}))
    attach_(model, [64] * 3, seed=0)
    assert accelerate_(model) == (9, 21)
    assert handed == [(256, 128), (256, 128), (128, 256)] * 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with sparse tensor cores")
def test_sparse_kernels_multiply_as_before(make_model) -> None:
    model = make_model(**SIZES)
    apply(model, Recipe(method="magnitude", options={"pattern": "2:4"}))
    model.to("cuda", torch.float16)
    ids = torch.arange(64, device="cuda").unsqueeze(0)
    with torch.no_grad():
        before = model(ids).logits.float()
        assert accelerate_(model) == (21, 21)
        assert float((model(ids).logits.float() - before).abs().max()) < 1e-2 * float(before.abs().max())
