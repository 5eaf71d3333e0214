"""DeciLM folders: what vLLM's class reads in them is what the model is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from compress import CompressError, LayerShape, Shape, cut_
from compress.exports import make


def shape(*sizes: tuple[int, int]) -> Shape:
    """The first channels and groups of every layer."""
    return Shape(72, 8, tuple(LayerShape(tuple(range(c)), tuple(range(g)), 64, 9, 3) for c, g in sizes))


def test_the_config_says_the_sizes_of_the_weights(make_model, tokenizer, tmp_path: Path, monkeypatch) -> None:
    model = make_model()
    cut_(model, shape((40, 3), (0, 0), (17, 3)))
    make("decilm").write(model, tokenizer, tmp_path / "deci", None)
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    config = AutoConfig.from_pretrained(tmp_path / "deci", trust_remote_code=True)
    assert (config.model_type, config.architectures) == ("nemotron-nas", ["DeciLMForCausalLM"])
    assert config.rope_parameters["rope_theta"] == 50_000.0
    weights = load_file(tmp_path / "deci" / "model.safetensors")
    stored = {name: weight for name, weight in model.state_dict().items() if name != "lm_head.weight"}
    assert weights.keys() == stored.keys()
    assert all(torch.equal(weights[name], stored[name]) for name in stored)
    assert config.num_hidden_layers == len(config.block_configs) == 2
    for index, block in enumerate(config.block_configs):
        assert not block.attention.no_op
        assert not block.ffn.no_op
        assert not hasattr(block.ffn, "ffn_mult")
        kv_heads = config.num_attention_heads // block.attention.n_heads_in_group
        assert weights[f"model.layers.{index}.self_attn.k_proj.weight"].shape[0] == kv_heads * config.head_dim
        assert weights[f"model.layers.{index}.mlp.up_proj.weight"].shape[0] == block.ffn.intermediate_size
    assert json.loads(config.to_json_string())["block_configs"] == config.block_configs


def test_what_the_dialect_has_no_words_for_is_refused(make_model, tokenizer, tmp_path: Path) -> None:
    uneven, narrow, biased = (
        make_model(),
        make_model(hidden_size=64, num_attention_heads=8, num_key_value_heads=4),
        make_model(),
    )
    cut_(uneven, shape((64, 3), (64, 2), (64, 3)))
    cut_(narrow, Shape(64, 8, (LayerShape(tuple(range(64)), (0, 1, 2), 64, 8, 4),) * 3))
    biased.model.layers[1].mlp.down_proj.bias = torch.nn.Parameter(torch.zeros(72))
    for model, said in (
        (uneven, "the same number of query heads, and these differ; set attention: false"),
        (narrow, "6 query heads do not divide the hidden size of 64"),
        (biased, "no place for the bias of mlp.down_proj"),
        (make_model("qwen2"), "family 'qwen2' is not written; families: llama, mistral"),
        (make_model("mistral", sliding_window=16), "sliding window"),
    ):
        with pytest.raises(CompressError, match="decilm: ") as error:
            make("decilm").write(model, tokenizer, tmp_path / "deci", None)
        assert said in str(error.value)
    assert list(tmp_path.iterdir()) == []
