"""Open a .gguf file as an ordinary float model and tokenizer."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MAGIC = b"GGUF"


def open_gguf(path: Path, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Dequantise the weights and rebuild the tokenizer.

    Raises HarnessError if the file is not GGUF, is cut short, or is of a family transformers cannot read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    if not path.is_file():
        raise HarnessError(f"{path}: no such file")
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise HarnessError(f"{path}: not a GGUF file (its first four bytes are not 'GGUF')")
    try:
        split = _pre_tokenizer_name(path)
        with redirect_stderr(io.StringIO()):  # its bar for dequantising heeds no setting
            model = AutoModelForCausalLM.from_pretrained(
                path.parent, gguf_file=path.name, dtype=dtype, quantization_config=GgufConfig(dequantize=True)
            )
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    except (OSError, ValueError, IndexError, KeyError, NotImplementedError, RuntimeError) as error:
        raise HarnessError(f"{path}: cannot be opened: {str(error).strip().splitlines()[0]}") from error
    tokenizer.model_max_length = model.config.max_position_embeddings
    if split == "smollm":
        split_digits_(tokenizer)
    return model, tokenizer


def split_digits_(tokenizer: PreTrainedTokenizerBase) -> None:
    """Make every digit a piece of its own before byte-level splitting, as SmolLM's tokenizer does.

    transformers rebuilds all GPT-2-like GGUF tokenizers without this step, which gives other tokens for a number after
    a run of spaces or lines: a list after a blank line, for example.
    """
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def _pre_tokenizer_name(path: Path) -> str:
    from gguf import GGUFReader

    field = GGUFReader(path).get_field("tokenizer.ggml.pre")
    return str(field.contents()) if field else ""
