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
WEIGHTS = (".safetensors", ".gguf")
HEAD_BYTES = 2**20
BLOCKS = 1024
BLOCK_BYTES = 4096
MISSED = "headers, sizes and 4 MiB of each file of weights; a few weights changed in between go unnoticed"
"""What a sampled fingerprint reads, and what it misses."""


def identity(sources: Sequence[Path], dtype: str, sampled: bool = False) -> str:
    """Sha256, in hex, over the content of model folders or .gguf files, in order, and the dtype they are opened in.

    A model and its adapter are two sources. Only names inside the folder count, not where the folder lies.
    sampled: of large files of weights only some is read, see `sampled_sha256`; never equal to a fingerprint of all.
    """
    content = [[[name, _content(path, sampled)] for name, path in named_files(source)] for source in sources]
    return hashlib.sha256(json.dumps([content, dtype, *(["sampled"] if sampled else [])]).encode()).hexdigest()


def _content(path: Path, sampled: bool) -> str:
    is_large = path.suffix in WEIGHTS and path.stat().st_size > 2 * BLOCKS * BLOCK_BYTES
    return sampled_sha256(path) if sampled and is_large else file_sha256(path)


def sampled_sha256(path: Path) -> str:
    """Sha256, in hex, over a file's size, its first MiB and 1,024 blocks of 4 KiB evenly spread up to its last byte.

    The first MiB holds the header: names, types, shapes and places of the tensors. A model that was trained or
    quantised again differs nearly everywhere, so in what is read too; a few weights changed between blocks are missed.
    """
    size = path.stat().st_size
    read = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        read.update(file.read(HEAD_BYTES))
        for number in range(BLOCKS):
            file.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
            read.update(file.read(BLOCK_BYTES))
    return read.hexdigest()


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
