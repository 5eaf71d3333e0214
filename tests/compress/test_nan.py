"""Activations that overflow in the middle of a walk name their layer, whoever walks, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compress import Calibration, CompressError, Recipe, apply, open_model, save
from compress.anatomy.blocks import blocks
from compress.cutting.refit import Fit
from compress.streaming.stream import Choices, stream

CALIBRATION = Calibration(file=Path(__file__), windows=2, tokens=32)
WALKS = {
    "angles": {"method": "shortgpt", "sparsity": 0.3},
    "calibrated": {"method": "cfsp", "sparsity": 0.2, "compensate": "bias"},
    "wanda": {"method": "wanda", "options": {"pattern": "2:4"}},
    "attention": {"method": "wanda", "options": {"pattern": "2:4", "modules": "attention"}},
    "projection": {"method": "wanda", "options": {"pattern": "2:4", "sequential": "projection"}},
    "sparsegpt": {"method": "sparsegpt", "options": {"pattern": "2:4"}},
    "slope": {"method": "slope", "options": {"score": "wanda"}},
    "least_squares": {"method": "magnitude", "sparsity": 0.2, "compensate": "least_squares"},
}


@torch.no_grad()
def overflowing(make_model, layer: int):
    """Every weight is finite, and so is all that this layer's matrices read; what it puts out is not."""
    model = make_model()
    mlp = model.model.layers[layer].mlp
    mlp.up_proj.weight *= 1e14
    mlp.down_proj.weight *= 1e27
    return model


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("name", WALKS)
def test_every_walk_names_the_layer(make_model, tokenizer, tmp_path: Path, name: str, layer: int) -> None:
    recipe = Recipe(calibration=CALIBRATION, **WALKS[name])
    overflowing(make_model, layer).save_pretrained(tmp_path / "source")
    told = rf"^layer {layer}: .*NaN or infinite activations"
    with pytest.raises(CompressError, match=told):
        apply(open_model(tmp_path / "source"), recipe, tokenizer)
    with pytest.raises(CompressError, match=told):
        stream(tmp_path / "source", recipe, tmp_path / "out", choices=Choices(tokenizer))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_recovery_layer_after_layer_names_it(make_model, tokenizer) -> None:
    data = {"sources": str(Path(__file__)), "window": 32, "tokens": 640}
    recipe = Recipe(method="magnitude", sparsity=0.2, recovery={"rule": "layerwise", "data": data})
    with pytest.raises(CompressError, match="layer 1: NaN or infinite activations"):
        apply(overflowing(make_model, 1), recipe, tokenizer)


def test_weights_beside_the_matrices_are_looked_at(make_model, tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.model.layers[1].post_attention_layernorm.weight[3] = float("nan")
    with pytest.raises(CompressError, match="layer 1: a weight is NaN or infinite: post_attention_layernorm"):
        apply(model, Recipe(method="magnitude", sparsity=0.2))
    model = make_model()
    with torch.no_grad():
        model.model.embed_tokens.weight[97] = float("nan")
    with pytest.raises(CompressError, match=r"a weight is NaN or infinite: model\.embed_tokens\.weight"):
        apply(model, Recipe(method="magnitude", sparsity=0.2))
    model.save_pretrained(tmp_path / "source")
    with pytest.raises(CompressError, match=r"a weight is NaN or infinite: model\.embed_tokens\.weight"):
        stream(tmp_path / "source", Recipe(method="magnitude", sparsity=0.2), tmp_path / "out")
    model = make_model()
    receipt = apply(model, Recipe(method="magnitude", sparsity=0.2))
    with torch.no_grad():
        model.model.norm.weight[3] = float("nan")
    with pytest.raises(CompressError, match="the model gives NaN or infinite logits; nothing was saved"):
        save(model, None, tmp_path / "out", receipt)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_least_squares_without_a_solution(make_model) -> None:
    block = blocks(make_model())[0]
    fit = Fit(block, block.mlp_out)
    fit.add(torch.ones(1, 2, 64), torch.ones(1, 2, 72))
    with pytest.raises(CompressError, match=r"layer 0: mlp\.down_proj: least squares has no solution; raise ridge"):
        fit.change(0.0)
