"""Ray: errands as calls of actors, each with one model open; the only file that imports ray."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError
from harness.executors.errands import Errand, Task
from harness.executors.placing import Queue
from harness.progress import Progress, silent
from harness.records import ModelSpec

PATIENCE = 120.0
"""Seconds without any actor at work, after which what is left is done here."""
TRIES = 3
"""An errand whose actor was lost so often is done here: it may be what kills them."""


class Worker:
    """Lives in an actor and keeps the last model open."""

    def __init__(self) -> None:
        self._open: tuple[str, Any] | None = None

    def ready(self) -> None:
        """Come back as soon as there is a place for this actor."""

    def done(self, spec: ModelSpec, fingerprint: str, task: Task) -> Any:
        """Open the model, if it is not open, and do the task.

        Raises HarnessError if it cannot be opened here, or is another one.
        """
        from harness.models.subject import Subject

        if self._open is None or self._open[0] != fingerprint:
            self._open = None
            subject = Subject(spec, silent)
            if subject.fingerprint != fingerprint:
                raise HarnessError(f"{spec.source}: another model there than here; all nodes must see the same files")
            self._open = (fingerprint, subject.loaded())
        return task.done(self._open[1])


@dataclass
class _Crew:
    """Actors and what they are at."""

    kind: Any
    """The actor class with its needs."""
    idle: dict[Any, str | None] = field(default_factory=dict)
    """Actor -> fingerprint of the model it has open, if any."""
    coming: dict[Any, Any] = field(default_factory=dict)
    """What tells that an actor is there -> the actor."""
    at_work: dict[Any, tuple[Any, Errand]] = field(default_factory=dict)
    """What its result will be -> the actor and its errand."""

    def hire(self) -> None:
        actor = self.kind.remote()
        self.coming[actor.ready.remote()] = actor

    def dismiss(self) -> None:
        """Let go of all, whatever they are at."""
        import ray

        for actor in [*self.idle, *self.coming.values(), *(actor for actor, _ in self.at_work.values())]:
            ray.kill(actor)


def make(address: str | None) -> RayExecutor:
    """Raises HarnessError if ray is not installed."""
    try:
        import ray  # noqa: F401
    except ImportError:
        raise HarnessError("--executor ray needs the package ray: pip install 'secateur[ray]'") from None
    return RayExecutor(address)


@dataclass(frozen=True)
class RayExecutor:
    """As many actors as the cluster has room for: a core each and, where there are GPUs, one of those.

    Ray's own reports of use to its makers are switched off, unless the environment says otherwise.
    """

    address: str | None

    def run(self, errands: Sequence[Errand], progress: Progress) -> None:
        """As `Executor.run`."""
        with _connected(self.address):
            _Run(list(errands), progress).go()


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    there = ray.is_initialized()
    if not there:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise HarnessError(f"--address {address}: no cluster there: {' '.join(str(error).split())[:200]}") from None
    try:
        yield
    finally:
        if not there:
            ray.shutdown()


class _Run:
    """One list of errands, until all are done or nobody is left to do them."""

    def __init__(self, errands: list[Errand], progress: Progress) -> None:
        import ray

        room = ray.cluster_resources()
        gpus = int(room.get("GPU", 0))
        self.kind = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(Worker)
        self.queue, self.progress = Queue(errands), progress
        self.total, self.done, self.lost = len(errands), 0, dict[int, int]()
        self.crew = _Crew(self.kind)
        for _ in range(min(len(errands), gpus or int(room.get("CPU", 1)))):
            self.crew.hire()

    def go(self) -> None:
        """Hand out, wait, keep; results of what was lost are asked for again."""
        import ray

        self._tell()
        try:
            while self.queue or self.crew.at_work:
                self._hand_out()
                waited = [*self.crew.at_work, *self.crew.coming]
                ready, _ = ray.wait(waited, num_returns=1, timeout=None if self.crew.at_work else PATIENCE)
                if not ready:
                    break
                self._taken(ready[0])
        finally:
            self.crew.dismiss()

    def _hand_out(self) -> None:
        """Give every idle actor an errand."""
        for actor, fingerprint in list(self.crew.idle.items()):
            errand = self.queue.take(fingerprint)
            if errand is None:
                return
            del self.crew.idle[actor]
            result = actor.done.remote(errand.spec, errand.fingerprint, errand.task)
            self.crew.at_work[result] = (actor, errand)

    def _taken(self, one: Any) -> None:
        """Look at what has become ready: an actor that is there, or a result."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        crew = self.crew
        actor, errand = (crew.coming.pop(one), None) if one in crew.coming else crew.at_work.pop(one)
        holding = errand.fingerprint if errand else None
        try:
            result = ray.get(one)
        except RayTaskError as error:
            crew.idle[actor] = holding
            _refuse(error.cause)
        except RayError:
            self.queue.closed(holding)
            if errand is not None:
                self._again(errand)
            crew.hire()
        else:
            crew.idle[actor] = holding
            if errand is not None:
                # What is written here shall not keep the actor waiting, but what comes of it may be for its model.
                if errand.fingerprint in self.queue:
                    self._hand_out()
                self._kept(errand, result)

    def _kept(self, errand: Errand, result: Any) -> None:
        more = errand.keep(result)
        self.queue.add(more)
        self.total, self.done = self.total + len(more), self.done + 1
        self._tell()

    def _again(self, errand: Errand) -> None:
        self.lost[id(errand)] = self.lost.get(id(errand), 0) + 1
        if self.lost[id(errand)] < TRIES:
            self.queue.add([errand])

    def _tell(self) -> None:
        self.progress(f"cluster: {self.queue.models} models wait", self.done, self.total)


def _refuse(cause: Exception) -> None:
    """Raise what is wrong with a model or its place; numbers that are none are met again here, and told there."""
    from harness.scoring import NotFiniteError

    if isinstance(cause, HarnessError) and not isinstance(cause, NotFiniteError):
        raise cause
