"""A tokenizer as llama.cpp wants it: byte-level BPE, whose way of splitting text llama.cpp knows by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from compress.errors import CompressError

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")

SPLITS: dict[str, tuple[tuple[str, ...], bool]] = {
    "gpt-2": (("words",), False),
    "smollm": (("digits", "words"), False),
    "llama-bpe": ((LLAMA3_SPLIT, "bytes"), True),
    "qwen2": ((QWEN2_SPLIT, "bytes"), False),
}
"""llama.cpp's name -> (steps of the pre-tokenizer, whether whole words in the vocabulary skip the merges)."""

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""llama.cpp's kinds of tokens."""


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says of a tokenizer."""

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    split: str
    """Of SPLITS."""
    special: dict[str, int]
    """bos, eos, unk, pad -> id, those that there are."""
    adds_bos: bool
    adds_eos: bool
    template: str | None


def vocabulary(tokenizer: PreTrainedTokenizerBase, size: int) -> Vocabulary:
    """Read a tokenizer. size: rows of the embedding; rows without a token are called unused.

    Raises CompressError, by name, for a tokenizer that llama.cpp would read otherwise.
    """
    if not tokenizer.is_fast:
        raise CompressError("gguf: only tokenizers with a tokenizer.json are written")
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    split = _split(content)
    ids: dict[str, int] = tokenizer.get_vocab()
    if max(ids.values()) >= size:
        raise CompressError(f"gguf: the tokenizer has token {max(ids.values())}, the model only {size} tokens")
    tokens = [f"[UNUSED{index}]" for index in range(size)]
    kinds = [UNUSED] * size
    for token, index in ids.items():
        tokens[index], kinds[index] = token, NORMAL
    for added in content["added_tokens"]:
        kinds[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in content["model"]["merges"]]
    plain, full = (tokenizer("a", add_special_tokens=also)["input_ids"] for also in (False, True))
    special = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "unk", "pad")}
    return Vocabulary(
        tokens=tuple(tokens),
        kinds=tuple(kinds),
        merges=tuple(merges),
        split=split,
        special={name: index for name, index in special.items() if index is not None},
        adds_bos=full[:1] == [special["bos"]] != plain[:1],
        adds_eos=full[-1:] == [special["eos"]] != plain[-1:],
        template=_template(tokenizer),
    )


def _split(content: dict[str, Any]) -> str:
    """The name in SPLITS. Raises CompressError."""
    model, normalizer = content["model"], content["normalizer"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        kind = "SentencePiece" if model.get("byte_fallback") else model["type"]
        raise CompressError(f"gguf: a {kind} tokenizer is not written, only byte-level BPE")
    if not model["merges"]:
        raise CompressError("gguf: the tokenizer has no merges, and llama.cpp opens none without")
    if normalizer is not None and normalizer["type"] != "NFC":
        raise CompressError(f"gguf: the tokenizer normalises text by {normalizer['type']}, which llama.cpp does not")
    steps = tuple(_step(part) for part in _parts(content["pre_tokenizer"]))
    for name, (known, ignores) in SPLITS.items():
        if steps == known and bool(model.get("ignore_merges")) == ignores:
            return name
    raise CompressError(
        f"gguf: the tokenizer splits text by {', '.join(steps) or 'nothing'}; llama.cpp's names are known for "
        f"{', '.join(SPLITS)} only"
    )


def _parts(pre_tokenizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    if pre_tokenizer is None:
        return []
    parts: list[dict[str, Any]] = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    return parts


def _step(part: dict[str, Any]) -> str:
    """One step in a word of SPLITS, or as JSON if it is none of them."""
    kind = part["type"]
    if kind == "Digits" and part["individual_digits"]:
        return "digits"
    if kind == "ByteLevel" and not part["add_prefix_space"]:
        return "words" if part["use_regex"] else "bytes"
    if kind == "Split" and part["behavior"] == "Isolated" and not part["invert"] and "Regex" in part["pattern"]:
        return str(part["pattern"]["Regex"])
    return json.dumps(part)


def _template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The chat template; of several, the default one."""
    template: str | dict[str, str] | None = tokenizer.chat_template
    return template.get("default") if isinstance(template, dict) else template
