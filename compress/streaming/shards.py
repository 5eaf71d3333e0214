"""Weights of a model folder, read and written a few at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from compress.checkpoints.opening import weight_files

SHARD_BYTES = 128 * 2**20
"""A file of weights ends with the first layer that fills it so far; until then its weights are in memory."""
INDEX = "model.safetensors.index.json"


class Stored:
    """The weights of a folder under the names that a model has for them."""

    def __init__(self, folder: Path, prefix: str) -> None:
        """prefix: of the inner model, which some folders leave out of their names, and some models."""
        self.folder = folder
        self._prefix = f"{prefix}."
        self._files: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        """By the folder's own names."""
        for path in weight_files(folder):
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  (no mapping)
                    self._files[name] = path
                    self.shapes[name] = tuple(file.get_slice(name).get_shape())

    def name_of(self, wanted: str) -> str | None:
        """The folder's own name for a weight of the model; None: it has none."""
        names = (wanted, wanted.removeprefix(self._prefix), self._prefix + wanted)
        return next((name for name in names if name in self._files), None)

    def read(self, wanted: Iterable[str], dtype: torch.dtype) -> dict[str, Tensor]:
        """Weights by the model's names. Where no other dtype is asked for, they are the file's own pages."""
        found = {}
        with ExitStack() as open_files:
            files = {}
            for name in wanted:
                stored = self.name_of(name)
                assert stored is not None, "checked when the folder was opened"
                path = self._files[stored]
                if path not in files:
                    files[path] = open_files.enter_context(safe_open(path, framework="pt"))
                found[name] = files[path].get_tensor(stored).to(dtype)
        return found


class Shards:
    """Writes a folder's weights, file after file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._waiting: dict[str, Tensor] = {}
        self._files: list[list[str]] = []
        self._bytes = 0

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Take these in; write what has come together if it fills a file."""
        self._waiting.update({name: tensor.contiguous() for name, tensor in weights.items()})
        if sum(tensor.nbytes for tensor in self._waiting.values()) >= SHARD_BYTES:
            self._write()

    def close(self) -> None:
        """Write the rest, give the files their final names, and the index where there is more than one."""
        self._write()
        count, weight_map = len(self._files), {}
        for number, names in enumerate(self._files, start=1):
            final = "model.safetensors" if count == 1 else f"model-{number:05d}-of-{count:05d}.safetensors"
            self._draft(number).rename(self.folder / final)
            weight_map.update(dict.fromkeys(names, final))
        if count > 1:
            index = {"metadata": {"total_size": self._bytes}, "weight_map": weight_map}
            (self.folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")

    def _write(self) -> None:
        if self._waiting:
            self._bytes += sum(tensor.nbytes for tensor in self._waiting.values())
            self._files.append(sorted(self._waiting))
            save_file(self._waiting, self._draft(len(self._files)), metadata={"format": "pt"})
            self._waiting = {}

    def _draft(self, number: int) -> Path:
        return self.folder / f"{number}.part"
