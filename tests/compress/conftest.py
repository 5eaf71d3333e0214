"""Tiny random models of every family, and a real tokenizer for them: one token a byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

CONFIGS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}

MakeModel = Callable[..., PreTrainedModel]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small lose more to threads than they win."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<end>", pad_token="<end>")
    made.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    return made


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    def make(family: str = "llama", seed: int = 0, **changes: object) -> PreTrainedModel:
        """Nine query heads on three kv heads, three layers, 64 channels; all weights and biases random."""
        sizes = {
            "vocab_size": 320,
            "hidden_size": 72,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "head_dim": 8,
            "max_position_embeddings": 512,
            "rope_parameters": {"rope_type": "default", "rope_theta": 50_000.0},
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": 256,
            "pad_token_id": 256,
        }
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(CONFIGS[family](**{**sizes, **changes})).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                scale = 0.3 if "norm" in name else 0.15
                parameter.copy_(torch.randn_like(parameter) * scale + (1.0 if "norm" in name else 0.0))
        return model

    return make
