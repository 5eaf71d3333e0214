"""A model of the plan: its identity is known at once, it is opened when something must be asked of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.models.batching import Batching
from harness.models.opening import LoadedModel, fingerprint_of, located, open_spec
from harness.progress import Progress
from harness.records import SPARSE, ModelSpec

if TYPE_CHECKING:
    from harness.endpoints import Connection


@dataclass(frozen=True)
class Made:
    """A model that lies nowhere: what is made of another one in memory, and can be made again."""

    fingerprint: str
    make: Callable[[], LoadedModel]


class Subject:
    """Opened at most once, here or as a connection to where it is served; `release` lets go of it."""

    def __init__(
        self, spec: ModelSpec, progress: Progress, made: Made | None = None, fingerprint: str | None = None
    ) -> None:
        """made: where it comes from, instead of from the source that `spec` names. fingerprint: where it was read
        already; when the model is opened it has to be true."""
        self.spec = spec
        self.batching = Batching()
        self.fingerprint = made.fingerprint if made else fingerprint or fingerprint_of(spec, progress)
        self._made = made
        self._progress = progress
        self._loaded: LoadedModel | None = None
        self._plain: LoadedModel | None = None
        self._connection: Connection | None = None

    @property
    def lasting(self) -> bool:
        """Whether the fingerprint stays true: what an endpoint serves may change unless its owner names a revision."""
        return self.spec.endpoint is None or self.spec.revision is not None

    @property
    def served(self) -> bool:
        """Whether it is asked over HTTP."""
        return self.spec.endpoint is not None or self.spec.engine == "vllm"

    @property
    def engine(self) -> str:
        """What its answers may depend on besides its weights; empty: on nothing that is not ours."""
        if self.spec.engine != "vllm":
            return ""
        from harness.endpoints import engine_mark

        return engine_mark()

    def connection(self) -> Connection | None:
        """Where it is served, by others or by a server that is started now; None: it is opened here."""
        if self.served and (self._connection is None or self._connection.closed):
            self._connection = self._connected()
        return self._connection

    def loaded(self) -> LoadedModel:
        """The open model, with its weights; no server of it runs beside that."""
        self._hang_up()
        if self._loaded is None:
            loaded = self._made.make() if self._made else open_spec(self.spec, self._progress)
            if loaded.fingerprint != self.fingerprint:
                raise HarnessError(f"{self.spec.source}: the model changed while the job ran; run it again")
            self._loaded = loaded
        return replace(self._loaded, batching=self.batching)

    def plain(self) -> LoadedModel:
        """The same with its weights as they are stored, to be cut: opened beside it where sparse kernels have them."""
        loaded = self.loaded()
        if SPARSE not in loaded.facts:
            return loaded
        if self._plain is None:
            self._plain = open_spec(self.spec, self._progress, plain=True)
        return self._plain

    def again(self, name: str, batching: Batching) -> Subject:
        """The same model under another name, working in other batches; what is open is shared."""
        other = copy.copy(self)
        other.spec, other.batching = replace(self.spec, name=name), batching
        return other

    def release(self) -> None:
        """Forget the weights, or hang up; both are there again if asked for."""
        self._loaded = self._plain = None
        self._hang_up()

    def _connected(self) -> Connection:
        from harness.endpoints import Connection, hosted

        if self.spec.endpoint is not None:
            return Connection(self.spec.endpoint)
        return hosted(self.spec, located(self.spec, self._progress), self._progress)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
