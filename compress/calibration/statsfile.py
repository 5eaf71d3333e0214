"""Statistics of a calibration as a file: safetensors, with all that is no tensor as JSON in its header."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from compress import drafts
from compress.calibration.stats import BlockStats, Inputs, Stats, Taylor
from compress.errors import CompressError
from compress.receipt import CalibrationFacts

KEY = "secateur_statistics"
"""The one key of the header: the library writes several in random order."""
VERSION = 3
NUMBERS = ("angle", "influence", "lesion")
SUMS = ("sums", "squares")
PARTS = tuple(field.name for field in fields(Taylor))


def save(stats: Stats, path: Path) -> None:
    """Write statistics; the file appears whole or not at all, and replaces an older one.

    Raises CompressError for Gram matrices, which are as large as the model, and where nothing can be written.
    """
    if any(seen.gram is not None for block in stats.blocks for seen in block.inputs.values()):
        raise CompressError("Gram matrices are not stored")
    header = {
        "version": VERSION,
        "facts": asdict(stats.facts) if stats.facts else None,
        "blocks": [_described(block) for block in stats.blocks],
    }
    tensors = {
        f"{index}/{name}": tensor.detach().contiguous().cpu()
        for index, block in enumerate(stats.blocks)
        for name, tensor in _tensors(block).items()
    }
    try:
        with drafts.whole(path) as draft:
            save_file(tensors, draft, metadata={KEY: json.dumps(header, allow_nan=False)})
    except (OSError, SafetensorError) as error:
        raise CompressError(f"{path}: cannot write: {getattr(error, 'strerror', None) or error}") from None


def _described(block: BlockStats) -> dict[str, Any]:
    return {
        **{name: getattr(block, name) for name in NUMBERS},
        "inputs": {name: seen.tokens for name, seen in block.inputs.items()},
        "spans": block.spans,
        "taylor": list(block.taylor),
    }


def _tensors(block: BlockStats) -> dict[str, Tensor]:
    named = {f"inputs/{name}/{part}": getattr(seen, part) for name, seen in block.inputs.items() for part in SUMS}
    for name, taylor in block.taylor.items():
        named |= {f"taylor/{name}/{part}": getattr(taylor, part) for part in PARTS}
    return named


def load(path: Path, device: torch.device | str = "cpu") -> Stats:
    """The same values that were saved, bit for bit. Raises CompressError on anything that `save` did not write."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header["version"] != VERSION:
            raise ValueError(f"version {header['version']}, expected {VERSION}")
        blocks = tuple(_block(f"{index}/", raw, tensors) for index, raw in enumerate(header["blocks"]))
        if tensors:
            raise ValueError(f"unexpected {min(tensors)}")
        facts = _facts(**header["facts"]) if header["facts"] else None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CompressError(f"{path}: not the statistics of a calibration: {error!r}") from None
    return Stats(blocks, facts)


def _block(place: str, raw: dict[str, Any], tensors: dict[str, Tensor]) -> BlockStats:
    """One layer; its tensors are taken out of `tensors`."""
    inputs = {}
    for name, tokens in raw["inputs"].items():
        sums = [_taken(f"{place}inputs/{name}/{part}", tensors) for part in SUMS]
        if type(tokens) is not int or tokens < 1 or {seen.ndim for seen in sums} != {1}:
            raise ValueError(f"{place}inputs/{name}: tokens or shapes are wrong")
        inputs[name] = Inputs(tokens, *sums)
    taylor = {
        name: Taylor(**{part: _taken(f"{place}taylor/{name}/{part}", tensors) for part in PARTS})
        for name in raw["taylor"]
    }
    numbers = {name: raw[name] for name in NUMBERS}
    spans = tuple(raw["spans"])
    for value in (*(value for value in numbers.values() if value is not None), *spans):
        if not (type(value) is float and math.isfinite(value)):
            raise ValueError(f"{place}: {value!r} is no finite number")
    return BlockStats(inputs, spans=spans, taylor=taylor, **numbers)


def _taken(name: str, tensors: dict[str, Tensor]) -> Tensor:
    tensor = tensors.pop(name)
    if tensor.dtype != torch.float64 or not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name}: not finite float64")
    return tensor


def _facts(source: str, sha256: str, tokens: int) -> CalibrationFacts:
    if not (isinstance(source, str) and isinstance(sha256, str) and type(tokens) is int):
        raise TypeError("facts of the wrong kind")
    return CalibrationFacts(source, sha256, tokens)
