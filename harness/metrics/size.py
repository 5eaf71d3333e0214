"""How large a model is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.errors import HarnessError
from harness.metrics import Pair
from harness.models.opening import LoadedModel
from harness.models.placement import own_parameters
from harness.progress import Progress, silent
from harness.records import Measurement


@dataclass(frozen=True)
class Size:
    """size.parameters: tied weights counted once. size.bytes: of the weights as stored, an adapter's included."""

    provides: ClassVar[tuple[str, ...]] = ("parameters", "bytes")

    def measure(self, before: LoadedModel, after: LoadedModel, progress: Progress = silent) -> list[Pair]:
        """Exact readings, without items."""
        return [(_parameters(before), _parameters(after)), (_bytes(before), _bytes(after))]


def _parameters(loaded: LoadedModel) -> Measurement:
    count = sum(parameter.numel() for parameter in own_parameters(loaded.model))
    return Measurement("size.parameters", float(count), "parameters", False, "reading")


def _bytes(loaded: LoadedModel) -> Measurement:
    from compress.checkpoints.opening import ADAPTER

    beside = [source / ADAPTER for source in loaded.sources if (source / ADAPTER).is_dir()]
    stored = sum(file.stat().st_size for source in (*loaded.sources, *beside) for file in weight_files(source))
    return Measurement("size.bytes", float(stored), "bytes", False, "reading")


def weight_files(source: Path) -> list[Path]:
    """The files that hold the weights of a model folder, an adapter's folder or a .gguf file."""
    if source.is_file():
        return [source]
    index = source / "model.safetensors.index.json"
    if index.is_file():
        return sorted({source / name for name in json.loads(index.read_text())["weight_map"].values()})
    for name in ("model.safetensors", "adapter_model.safetensors"):
        if (source / name).is_file():
            return [source / name]
    raise HarnessError(f"{source}: no weights whose size could be read")
