"""Identity of a model: equal fingerprints mean equal answers on the same machine and libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

PATTERNS = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template*",
    "chat_templates/*",
    "adapter_config.json",
)
"""Everything in a model folder that an answer depends on; notes, receipts and licences are left out."""


def identity(sources: Sequence[Path], dtype: str) -> str:
    """Sha256, in hex, over the content of model folders or .gguf files, in order, and the dtype they are opened in.

    A model and its adapter are two sources. Only names inside the folder count, not where the folder lies.
    """
    content = [[[name, file_sha256(path)] for name, path in named_files(source)] for source in sources]
    return hashlib.sha256(json.dumps([content, dtype]).encode()).hexdigest()


def named_files(source: Path) -> Iterable[tuple[str, Path]]:
    """The files that make up a model folder, or the one .gguf file, sorted by name."""
    if source.is_file():
        return [("model.gguf", source)]
    found = {path for pattern in PATTERNS for path in source.glob(pattern) if path.is_file()}
    return sorted((path.relative_to(source).as_posix(), path) for path in found)


def file_sha256(path: Path) -> str:
    """Sha256 of one file, in hex; half a second for 540 MB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
