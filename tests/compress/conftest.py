"""Tiny random models of every family, and a real tokenizer for them: one token a byte."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

SIZES = {
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

SLIDING = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
ONE_ROPE = {"rope_type": "default", "rope_theta": 50_000.0}

OWN: dict[str, dict[str, object]] = {
    "cohere2": SLIDING,
    "exaone4": SLIDING,
    "gemma2": SLIDING,
    "gemma3_text": {**SLIDING, "rope_parameters": {"full_attention": ONE_ROPE, "sliding_attention": ONE_ROPE}},
    "gpt2": {"n_inner": 64},
    "ministral": SLIDING,
    "olmo3": SLIDING,
    "opt": {"ffn_dim": 64},
    "smollm3": {"no_rope_layers": [1, 0, 1]},
}
"""What a family's config has besides, or else."""

WITHOUT = {
    "gpt2": ("intermediate_size", "num_key_value_heads", "head_dim", "rope_parameters"),
    "gpt_neox": ("num_key_value_heads", "head_dim"),
    "olmo": ("head_dim",),
    "olmo2": ("head_dim",),
    "opt": ("intermediate_size", "num_key_value_heads", "head_dim", "rope_parameters"),
}
"""What it has not."""

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
        """Nine query heads on three kv heads where the family has them, three layers, 64 channels.

        All weights and biases are random.
        """
        sizes = {key: value for key, value in SIZES.items() if key not in WITHOUT.get(family, ())}
        # A config keeps the very dictionaries that it is given, and tests change configs.
        given = copy.deepcopy({**sizes, **OWN.get(family, {}), **changes})
        config = AutoConfig.for_model(family, **given)
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                norm = "norm" in name or "ln_" in name
                parameter.copy_(torch.randn_like(parameter) * (0.3 if norm else 0.15) + float(norm))
        return model

    return make
