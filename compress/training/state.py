"""The state of a training on disk: written whole or not at all, and read only by the training it belongs to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from compress import drafts
from compress.errors import CompressError
from compress.training.facts import Point

VALUES, BEST, MOMENT, SECOND = "value", "best", "moment", "second"


@dataclass
class State:
    """Where a training stands."""

    step: int = 0
    """Optimiser steps done."""
    tokens: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    """Lowest held-out loss so far."""
    points: list[Point] = field(default_factory=list)
    since: list[float] = field(default_factory=list)
    """Training losses since the last point."""


def save_state(path: Path, key: Mapping[str, str], state: State, tensors: Mapping[str, Tensor]) -> None:
    """Replace what `path` holds. Raises CompressError on a full disk, with the old state untouched."""
    about = {"key": json.dumps(dict(key)), "state": json.dumps(asdict(state))}
    try:
        with drafts.whole(path) as draft:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, draft, metadata=about)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
    except (OSError, SafetensorError) as error:
        raise CompressError(
            f"{path}: cannot save the state of the training: {getattr(error, 'strerror', None) or error}; "
            "the state saved before is kept, and the same command goes on from there"
        ) from None


def load_state(path: Path, key: Mapping[str, str]) -> tuple[State, dict[str, Tensor]] | None:
    """What was saved, or None if there is nothing.

    key: what the training depends on, by name. Raises CompressError, naming what differs, for the state of another
    training, and for a broken file.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        theirs, raw = json.loads(about["key"]), json.loads(about["state"])
        raw["points"] = [Point(**point) for point in raw["points"]]
        state = State(**raw)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CompressError(f"{path}: not the state of a training: {error}; remove it to start again") from None
    differing = [name for name in key if theirs.get(name) != key[name]]
    if differing:
        raise CompressError(
            f"{path}: this training was begun with other {' and other '.join(differing)}; "
            "put that back to go on, or remove this file to start again"
        )
    return state, tensors


def packed(values: Sequence[Tensor], best: Sequence[Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Everything that a training goes on from, by name."""
    tensors: dict[str, Tensor] = {}
    for place, (value, kept) in enumerate(zip(values, best, strict=True)):
        moments = optimizer.state[value]
        found = {VALUES: value.detach(), BEST: kept}
        if moments:
            found |= {MOMENT: moments["exp_avg"], SECOND: moments["exp_avg_sq"]}
        tensors |= {f"{name}.{place}": tensor for name, tensor in found.items()}
    return tensors


def unpack_(
    tensors: Mapping[str, Tensor], step: int, values: Sequence[Tensor], optimizer: torch.optim.Optimizer
) -> list[Tensor]:
    """Put values and moments back; returns the best values."""
    best = []
    for place, value in enumerate(values):
        with torch.no_grad():
            value.copy_(tensors[f"{VALUES}.{place}"])
        best.append(tensors[f"{BEST}.{place}"].to(value.device))
        if f"{MOMENT}.{place}" in tensors:
            moments: dict[str, Any] = {
                "step": torch.tensor(float(step)),
                "exp_avg": tensors[f"{MOMENT}.{place}"].to(value.device),
                "exp_avg_sq": tensors[f"{SECOND}.{place}"].to(value.device),
            }
            optimizer.state[value] = moments
    return best
