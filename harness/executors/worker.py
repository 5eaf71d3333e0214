"""What does errands on a node, with one model open at a time."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compress import CompressError
from harness.errors import HarnessError
from harness.executors.errands import Task
from harness.progress import silent
from harness.records import ModelSpec

if TYPE_CHECKING:
    from harness.models.opening import LoadedModel


class OtherModelError(HarnessError):
    """A node does not see the model that is meant."""


class NotOpenedError(HarnessError):
    """The model that is meant is there, and cannot be opened."""


class Worker:
    """Lives in an actor and keeps the last model open."""

    def __init__(self, place: str) -> None:
        """place: the folder that relative paths are of, if this node has it."""
        with suppress(OSError):
            os.chdir(place)
        self._open: tuple[str, LoadedModel] | None = None

    def ready(self) -> None:
        """Come back as soon as there is a place for this actor."""

    def done(self, spec: ModelSpec, fingerprint: str, task: Task) -> Any:
        """Open the model, if it is not open, and do the task. Raises OtherModelError, and NotOpenedError."""
        if self._open is None or self._open[0] != fingerprint:
            self._open = None
            self._open = (fingerprint, _opened(spec, fingerprint))
        return task.done(replace(self._open[1], spec=spec))


def _opened(spec: ModelSpec, fingerprint: str) -> LoadedModel:
    from harness.models.subject import Subject

    try:
        subject = Subject(spec, silent)
    except HarnessError as error:
        raise OtherModelError(f"on a node: {error}; all nodes must see the same files") from None
    if subject.fingerprint != fingerprint:
        raise OtherModelError(f"{spec.source}: another model there than here; all nodes must see the same files")
    try:
        return subject.loaded()
    except (HarnessError, CompressError, RuntimeError) as error:
        # torch says by a RuntimeError that memory does not suffice.
        raise NotOpenedError(str(error)) from None


def gpu_memory() -> int | None:
    """Bytes of the GPU that this process has; None: torch sees none."""
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None
