from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from compress import CompressError, Recipe, apply
from compress.adapters import merged


def trained(model, folder: Path) -> torch.Tensor:
    """Save an adapter that changes something; returns the logits with it."""
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False))
    adapted.save_pretrained(folder)
    with torch.no_grad():
        return adapted(torch.arange(12).view(1, 12)).logits


def test_a_merged_adapter_gives_the_adapted_logits(make_model, tmp_path: Path) -> None:
    ids = torch.arange(12).view(1, 12)
    expected = trained(make_model(), tmp_path)
    model = merged(make_model(), tmp_path)
    with torch.no_grad():
        before, logits = make_model()(ids).logits, model(ids).logits
    assert type(model).__name__ == "LlamaForCausalLM"
    assert float((logits - expected).abs().max()) < 1e-4
    assert float((logits - before).abs().max()) > 1e-2


def test_an_adapter_of_another_model_is_refused(make_model, tmp_path: Path) -> None:
    trained(make_model(), tmp_path)
    smaller = make_model()
    apply(smaller, Recipe(method="magnitude", sparsity=0.2))
    with pytest.raises(CompressError, match="the adapter does not fit the model"):
        merged(smaller, tmp_path)
    with pytest.raises(CompressError, match="the adapter does not fit the model"):
        merged(make_model(num_hidden_layers=2), tmp_path)
    with pytest.raises(CompressError, match="the adapter does not fit the model"):
        merged(make_model(num_hidden_layers=4), tmp_path)


def test_a_folder_without_an_adapter_is_refused(make_model, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=r"not a LoRA adapter: no adapter_config\.json"):
        merged(make_model(), tmp_path)
