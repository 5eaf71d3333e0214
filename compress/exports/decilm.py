"""DeciLM, as vLLM's own class reads it: layers may differ in FFN width."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from compress.errors import CompressError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from compress.anatomy.blocks import Block
    from compress.receipt import Receipt

FAMILIES = ("llama", "mistral")
CONFIGURATION = "configuration_decilm.py"
SOURCE = '''\
"""A Llama config whose block_configs say how wide the FFN of each layer is."""

from transformers import LlamaConfig


class Entry(dict):
    """A mapping whose keys are attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class DeciLMConfig(LlamaConfig):
    model_type = "nemotron-nas"

    def __init__(self, block_configs=(), **kwargs):
        self.block_configs = [Entry({name: Entry(part) for name, part in block.items()}) for block in block_configs]
        super().__init__(**kwargs)
'''


@dataclass(frozen=True)
class Decilm:
    """A folder that vLLM opens with --trust-remote-code: the only code is that of the config."""

    suffix: ClassVar[str] = ""

    def refuse(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Families that are no Llama."""
        if model.config.model_type not in FAMILIES:
            raise CompressError(
                f"decilm: family '{model.config.model_type}' is not written; families: {', '.join(FAMILIES)}"
            )
        if getattr(model.config, "sliding_window", None):
            raise CompressError("decilm: attention in a sliding window is not written")

    def write(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, target: Path, receipt: Receipt | None
    ) -> tuple[str, ...]:
        """Raises CompressError also where layers differ in query heads, which vLLM keeps equal."""
        from compress.anatomy.blocks import blocks
        from compress.checkpoints import checkpoint

        self.refuse(model, tokenizer)
        found = blocks(model)
        content = _config(model, found)
        with checkpoint.placed(target) as draft:
            checkpoint.write_weights(model.state_dict(), checkpoint.tied_names(model), draft)
            (draft / "config.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
            (draft / CONFIGURATION).write_text(SOURCE)
            checkpoint.write_tools(model, tokenizer, draft)
            if receipt is not None:
                (draft / checkpoint.RECEIPT).write_text(receipt.to_json())
        return ("made for vLLM with --trust-remote-code; transformers alone does not open it",)


def _config(model: PreTrainedModel, found: list[Block]) -> dict[str, Any]:
    """Content of config.json. Raises CompressError for what the dialect has no words for."""
    config = model.config
    heads = {(block.heads, block.kv_heads) for block in found}
    if len(heads) > 1:
        raise CompressError(
            "decilm: vLLM gives all layers the same number of query heads, and these differ; "
            "set attention: false in the recipe, or --layout uniform"
        )
    (query_heads, kv_heads) = heads.pop()
    if config.hidden_size % query_heads:
        raise CompressError(f"decilm: {query_heads} query heads do not divide the hidden size of {config.hidden_size}")
    wanted = {
        "attention": bool(getattr(config, "attention_bias", False)),
        "mlp": bool(getattr(config, "mlp_bias", False)),
    }
    for block in found:
        for projection in block.projections:
            kind = "mlp" if projection.name.startswith("mlp.") else "attention"
            if (projection.module.bias is not None) != wanted[kind]:
                raise CompressError(f"decilm: vLLM has no place for the bias of {projection.name}")
    blocks = [
        {
            "attention": {"no_op": False, "n_heads_in_group": query_heads // kv_heads},
            "ffn": {"no_op": False, "intermediate_size": block.channels},
        }
        for block in found
    ]
    content: dict[str, Any] = json.loads(config.to_json_string())
    for key in ("_name_or_path", "auto_map", "per_layer_config", "added_biases", "layer_types", "sliding_window"):
        content.pop(key, None)
    return content | {
        "architectures": ["DeciLMForCausalLM"],
        "auto_map": {"AutoConfig": f"{Path(CONFIGURATION).stem}.DeciLMConfig"},
        "block_configs": blocks,
        "intermediate_size": max(block.channels for block in found),
        "model_type": "nemotron-nas",
        "num_attention_heads": query_heads,
        "num_key_value_heads": kv_heads,
        "rope_theta": config.rope_parameters["rope_theta"],
    }
