"""A model of the plan: its identity is known at once, its weights are loaded when something must be asked of it."""

from __future__ import annotations

from harness.errors import HarnessError
from harness.models import LoadedModel, fingerprint_of, open_spec
from harness.progress import Progress
from harness.records import ModelSpec


class Subject:
    """Opened at most once; `release` lets go of the weights."""

    def __init__(self, spec: ModelSpec, progress: Progress) -> None:
        self.spec = spec
        self.fingerprint = fingerprint_of(spec, progress)
        self._progress = progress
        self._loaded: LoadedModel | None = None

    def loaded(self) -> LoadedModel:
        """The open model."""
        if self._loaded is None:
            loaded = open_spec(self.spec, self._progress)
            if loaded.fingerprint != self.fingerprint:
                raise HarnessError(f"{self.spec.source}: the model changed while the job ran; run it again")
            self._loaded = loaded
        return self._loaded

    def release(self) -> None:
        """Forget the weights; they are loaded again if asked for."""
        self._loaded = None
