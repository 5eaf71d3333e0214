"""GGUF, the format of llama.cpp: its `llama` architecture, or `deci` where the layers differ in size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from compress.errors import CompressError

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from compress.checkpoints.vocabulary import Vocabulary
    from compress.receipt import Receipt

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
"""model_type -> llama.cpp's architecture for equal layers."""
NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Module, below its decoder layer if it is in one -> what llama.cpp calls it."""
BIASED = {
    "llama": ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"),
    "qwen2": ("attn_q", "attn_k", "attn_v"),
    "qwen3": (),
}
"""Architecture -> what may have a bias there."""
WEIGHT = re.compile(r"(?:model\.)?(?:layers\.(?P<layer>\d+)\.)?(?P<module>[\w.]+)\.(?P<kind>weight|bias)")
ROPES = ("default", "linear", "llama3")
"""Kinds of rotary embedding that are fixed frequencies."""


@dataclass(frozen=True)
class Gguf:
    """One .gguf file with weights in the model's own dtype, tokenizer and chat template.

    The receipt is kept under the key `secateur.receipt`.
    """

    suffix: ClassVar[str] = ".gguf"

    def refuse(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """A family, activation, rotary embedding or tokenizer that llama.cpp reads otherwise."""
        from compress.calibration.calibrate import embedded_tokens
        from compress.checkpoints.vocabulary import vocabulary

        config = model.config
        if config.model_type not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise CompressError(f"gguf: family '{config.model_type}' is not written; families: {known}")
        if config.hidden_act != "silu":
            raise CompressError(f"gguf: activation '{config.hidden_act}' is not written, only silu")
        window = getattr(config, "sliding_window", None)
        if window and getattr(config, "use_sliding_window", True) and window < config.max_position_embeddings:
            raise CompressError("gguf: attention in a sliding window is not written")
        rope = config.rope_parameters["rope_type"]
        if rope not in (ROPES if ARCHITECTURES[config.model_type] == "llama" else ROPES[:1]):
            raise CompressError(f"gguf: rotary embedding '{rope}' is not written for {config.model_type}")
        vocabulary(tokenizer, embedded_tokens(model))

    def write(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, target: Path, receipt: Receipt | None
    ) -> tuple[str, ...]:
        """Raises CompressError also for layers of different sizes in a family other than Llama."""
        from gguf import GGUFWriter

        from compress import drafts
        from compress.anatomy.blocks import blocks
        from compress.anatomy.families import head_dim
        from compress.calibration.calibrate import embedded_tokens
        from compress.checkpoints.vocabulary import vocabulary

        self.refuse(model, tokenizer)
        sizes = [(block.channels, block.heads, block.kv_heads) for block in blocks(model)]
        stock = ARCHITECTURES[model.config.model_type]
        architecture = stock if len(set(sizes)) == 1 else "deci"
        if architecture == "deci" and stock != "llama":
            raise CompressError(
                f"gguf: llama.cpp knows layers of different sizes only for Llama, not for {model.config.model_type}; "
                "set equal_layers: true in the recipe, or --layout uniform"
            )
        if stock == "qwen2" and sizes[0][1] * head_dim(model) != model.config.hidden_size:
            raise CompressError(
                "gguf: llama.cpp's qwen2 takes no fewer query heads; set attention: false in the recipe"
            )
        weights = list(_weights(model, stock))
        try:
            with drafts.whole(target) as draft:
                writer = GGUFWriter(draft, architecture)
                _describe(writer, model, sizes, target.stem)
                _write_vocabulary(writer, vocabulary(tokenizer, embedded_tokens(model)))
                if receipt is not None:
                    writer.add_string("secateur.receipt", receipt.to_json())
                for name, weight in weights:
                    _add(writer, name, weight)
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.write_tensors_to_file()
                writer.close()
        except OSError as error:
            raise CompressError(f"{target}: cannot write: {error.strerror or error}") from None
        return () if architecture == stock else ("layers differ in size, so this is llama.cpp's architecture 'deci'",)


def _describe(writer: GGUFWriter, model: PreTrainedModel, sizes: list[tuple[int, int, int]], name: str) -> None:
    """Sizes, arrays where they differ, and what the layers compute."""
    from gguf import LlamaFileType

    from compress.anatomy.families import head_dim
    from compress.calibration.calibrate import embedded_tokens

    config, head = model.config, head_dim(model)
    channels, heads, kv_heads = (_one_or_all(column) for column in zip(*sizes, strict=True))
    kinds = {"float16": LlamaFileType.MOSTLY_F16, "bfloat16": LlamaFileType.MOSTLY_BF16}
    writer.add_name(name)
    writer.add_file_type(kinds.get(str(model.dtype).removeprefix("torch."), LlamaFileType.ALL_F32))
    writer.add_vocab_size(embedded_tokens(model))
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(len(sizes))
    writer.add_feed_forward_length(channels)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _one_or_all(column: tuple[int, ...]) -> int | list[int]:
    return column[0] if len(set(column)) == 1 else list(column)


def _write_vocabulary(writer: GGUFWriter, words: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words.split)
    writer.add_token_list(list(words.tokens))
    writer.add_token_types(list(words.kinds))
    writer.add_token_merges(list(words.merges))
    for name, index in words.special.items():
        writer.add_uint32(KEYS[name], index)
    writer.add_add_bos_token(words.adds_bos)
    writer.add_add_eos_token(words.adds_eos)
    if words.template is not None:
        writer.add_chat_template(words.template)


KEYS = {
    "bos": "tokenizer.ggml.bos_token_id",
    "eos": "tokenizer.ggml.eos_token_id",
    "unk": "tokenizer.ggml.unknown_token_id",
    "pad": "tokenizer.ggml.padding_token_id",
}


def _weights(model: PreTrainedModel, stock: str) -> Iterator[tuple[str, Tensor]]:
    """(llama.cpp's name, weight) of all that is stored. Raises CompressError for what has no place."""
    from compress.anatomy.families import head_dim

    tied = set(model.all_tied_weights_keys) if model.config.tie_word_embeddings else set()
    for key, weight in model.state_dict().items():
        found = WEIGHT.fullmatch(key)
        name = NAMES.get(found["module"]) if found else None
        if key in tied:
            continue
        if found is None or name is None or (found["kind"] == "bias" and name not in BIASED[stock]):
            raise CompressError(f"gguf: llama.cpp's {stock} has no place for {key}")
        if stock == "llama" and name in ("attn_q", "attn_k"):
            weight = interleaved(weight, head_dim(model))
        block = "" if found["layer"] is None else f"blk.{found['layer']}."
        yield f"{block}{name}.{found['kind']}", weight
    if model.config.rope_parameters["rope_type"] != "default":
        yield "rope_freqs.weight", rope_factors(model)


def interleaved(weight: Tensor, head_dim: int) -> Tensor:
    """(rows, ...) of q or k: llama.cpp rotates neighbouring rows of a head, transformers rows half a head apart."""
    halves = weight.reshape(-1, 2, head_dim // 2, *weight.shape[1:])
    return halves.transpose(1, 2).reshape(weight.shape)


def rope_factors(model: PreTrainedModel) -> Tensor:
    """(head_dim / 2,) what llama.cpp divides the plain rotary frequencies by."""
    import torch

    rotary: Any = model.base_model.rotary_emb
    steps = torch.arange(len(rotary.inv_freq), dtype=torch.float64) / len(rotary.inv_freq)
    plain = model.config.rope_parameters["rope_theta"] ** -steps
    factors: Tensor = (plain / rotary.inv_freq.double().cpu()).float()
    return factors


def _add(writer: GGUFWriter, name: str, weight: Tensor) -> None:
    """Matrices in their own dtype; vectors in float32, as llama.cpp wants them."""
    import torch
    from gguf import GGMLQuantizationType

    weight = weight.detach().cpu().contiguous()
    if weight.ndim == 1 or weight.dtype not in (torch.float16, torch.bfloat16):
        writer.add_tensor(name, weight.float().numpy())
    elif weight.dtype == torch.float16:
        writer.add_tensor(name, weight.numpy())
    else:
        writer.add_tensor(name, weight.view(torch.uint8).numpy(), raw_dtype=GGMLQuantizationType.BF16)
