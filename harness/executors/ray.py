"""Ray: errands as calls of actors, each with one model open."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import HarnessError
from harness.executors.errands import Errand
from harness.executors.placing import Queue
from harness.executors.ray_cluster import PATIENCE, connected, seen
from harness.executors.sizing import Cluster
from harness.executors.worker import NotOpenedError, OtherModelError, Worker
from harness.progress import Progress

TRIES = 3
"""An errand whose actor was lost so often is done here: it may be what kills them."""


@dataclass
class _Crew:
    """Actors and what they are at."""

    gpus: dict[Any, int] = field(default_factory=dict)
    """Actor -> how many it has."""
    idle: dict[Any, str | None] = field(default_factory=dict)
    """Actor -> fingerprint of the model it has open, if any."""
    coming: dict[Any, Any] = field(default_factory=dict)
    """What tells that an actor is there -> the actor."""
    at_work: dict[Any, tuple[Any, Errand]] = field(default_factory=dict)
    """What its result will be -> the actor and its errand."""

    def hire(self, gpus: int) -> None:
        import ray

        actor = ray.remote(num_cpus=1, num_gpus=gpus)(Worker).remote(os.getcwd())
        self.gpus[actor] = gpus
        self.coming[actor.ready.remote()] = actor

    def dismiss(self, actor: Any) -> None:
        """Let go of one that is idle."""
        import ray

        del self.idle[actor], self.gpus[actor]
        ray.kill(actor)

    def dismiss_all(self) -> None:
        """Whatever they are at."""
        import ray

        for actor in self.gpus:
            ray.kill(actor)

    def units(self) -> int:
        """What they have together, as `Cluster.units` counts."""
        return sum(max(1, gpus) for gpus in self.gpus.values())


def make(address: str | None) -> RayExecutor:
    """Raises HarnessError if ray is not installed."""
    try:
        import ray  # noqa: F401
    except ImportError:
        raise HarnessError("--executor ray needs the package ray: pip install 'secateur[ray]'") from None
    return RayExecutor(address)


@dataclass(frozen=True)
class RayExecutor:
    """As many actors as the cluster has room for: a core each and, where there are GPUs, what their models need.

    Ray's own reports of use to its makers are switched off, unless the environment says otherwise.
    """

    address: str | None

    def run(self, errands: Sequence[Errand], progress: Progress) -> None:
        """As `Executor.run`."""
        with connected(self.address):
            _Run(errands, progress, seen()).go()


class _Run:
    """One list of errands, until all are done or nobody is left to do them."""

    def __init__(self, errands: Sequence[Errand], progress: Progress, cluster: Cluster) -> None:
        self.cluster, self.crew, self.progress = cluster, _Crew(), progress
        self.queues: dict[int, Queue[Errand]] = {}
        """By how many GPUs their models need."""
        self.needs: dict[tuple[str, int], int | None] = {}
        self.total, self.done, self.lost, self.stillborn = 0, 0, dict[int, int](), 0
        self._add(errands)

    def go(self) -> None:
        """Hand out, wait, keep; results of what was lost are asked for again."""
        import ray

        self._tell()
        try:
            while self.crew.at_work or any(self.queues.values()):
                self._hand_out()
                waited = [*self.crew.at_work, *self.crew.coming]
                ready, _ = ray.wait(waited, num_returns=1, timeout=None if self.crew.at_work else PATIENCE)
                if not ready:
                    break
                self._taken(ready[0])
        finally:
            self.crew.dismiss_all()

    def _add(self, errands: Sequence[Errand]) -> None:
        by_need: dict[int, list[Errand]] = {}
        for errand in errands:
            key = (errand.fingerprint, errand.copies)
            if key not in self.needs:
                self.needs[key] = self.cluster.needed(errand)
            gpus = self.needs[key]
            if gpus is not None:
                by_need.setdefault(gpus, []).append(errand)
                self.total += 1
        for gpus, some in by_need.items():
            if gpus in self.queues:
                self.queues[gpus].add(some)
            else:
                self.queues[gpus] = Queue(some)

    def _hand_out(self) -> None:
        """Give every idle actor an errand, and see to it that there are actors for those that wait."""
        crew = self.crew
        for actor, holding in list(crew.idle.items()):
            gpus = crew.gpus[actor]
            errand = self.queues[gpus].take(holding)
            if errand is not None:
                del crew.idle[actor]
                spec = replace(errand.spec, device_map=errand.spec.device_map or "auto") if gpus > 1 else errand.spec
                crew.at_work[actor.done.remote(spec, errand.fingerprint, errand.task)] = (actor, errand)
            elif any(self.queues.values()):
                self.queues[gpus].closed(holding)
                crew.dismiss(actor)
        # Those that need most first: what is left over suits the others.
        for gpus in sorted(self.queues, reverse=True):
            self._hire(gpus)

    def _hire(self, gpus: int) -> None:
        """As many as wait, and there is room for."""
        crew, there = self.crew, [one for one in self.crew.gpus.values() if one == gpus]
        wanted = len(self.queues[gpus]) - sum(crew.gpus[actor] == gpus for actor in crew.coming.values())
        free = (self.cluster.units - crew.units()) // max(1, gpus)
        for _ in range(min(wanted, free, self.cluster.room(gpus) - len(there))):
            crew.hire(gpus)

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
            self._failed(errand, error.cause)
        except RayError as error:
            gpus = crew.gpus.pop(actor)
            if errand is None:
                self._never_there(error)
            else:
                self.queues[gpus].closed(holding)
                self._again(errand)
        else:
            crew.idle[actor] = holding
            if errand is not None:
                # What is written here shall not keep the actor waiting, but what comes of it may be for its model.
                if errand.fingerprint in self.queues[crew.gpus[actor]]:
                    self._hand_out()
                self._kept(errand, result)

    def _kept(self, errand: Errand, result: Any) -> None:
        self.done, self.stillborn = self.done + 1, 0
        self._add(errand.keep(result))
        self._tell()

    def _failed(self, errand: Errand | None, cause: Exception) -> None:
        """What cannot be done there is met again, and told, here; another model there is refused."""
        if isinstance(cause, OtherModelError) or errand is None:
            raise cause
        if isinstance(cause, NotOpenedError):
            self.total -= sum(queue.drop(errand.fingerprint) for queue in self.queues.values())

    def _never_there(self, error: Exception) -> None:
        """Raise HarnessError if no actor comes to life, as where a node lacks the package."""
        self.stillborn += 1
        if self.stillborn >= TRIES * self.cluster.units and not self.crew.at_work:
            told = " ".join(str(error).split())[-300:]
            raise HarnessError(f"--executor ray: no worker starts; is secateur installed on every node? {told}")

    def _again(self, errand: Errand) -> None:
        self.lost[id(errand)] = self.lost.get(id(errand), 0) + 1
        if self.lost[id(errand)] < TRIES:
            self.total -= 1
            self._add([errand])

    def _tell(self) -> None:
        models = sum(queue.models for queue in self.queues.values())
        self.progress(f"cluster: {models} models wait", self.done, self.total)
