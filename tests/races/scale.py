"""How well 64 accelerators are used by 1,000 candidates x 100,000 documents, simulated, and what is in the way.

    python tests/races/scale.py

What cuts the work and places it is secateur's own: `parts`, `_Benchmark`, `Queue` and the whole loop of the Ray
executor run as they are. Only ray, the store and the models are make-believe: a call of an actor and a write of the
store take their time on a clock of numbers. The one process that hands out and writes does one thing at a time, as in
truth.

Measured on one core of an AMD EPYC (CPU seconds, 2026-11-29): all of `Times`, and that a document of
`secateur_everyday` takes the embedded model 44 ms in all, and to open it 1.9 s. Assumed: every other time of a document
or an opening, which stands in the row's name; and that a worker's processor and its accelerator take turns, as they do
now. Busy is the share of time in which workers do what the plan asks, which is not to wait, to open models or to look
for documents; scoring the part of it that an accelerator would do.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from harness.executors import spreading
from harness.executors.errands import Errand, Score
from harness.executors.placing import Queue
from harness.executors.ray import _Run
from harness.plan import Benchmark
from harness.progress import silent

START = 5.0
"""Seconds until an actor is there; assumed."""


@dataclass(frozen=True)
class Times:
    """Seconds that do not depend on the model."""

    build: float = 5.7
    """To build a task of 100,000 documents; a worker does so once."""
    begin: float = 0.022
    """To look through its documents, for every errand."""
    prepare: float = 0.0030
    """A document's requests, before and after the accelerator has them."""
    total: float = 0.0017
    """A document in the numbers of a benchmark whose scores are all there."""
    write: float = 0.030
    """To open the store, and to close it."""
    score: float = 9.6e-6
    """To write a score; a document has four."""
    read: float = 1.1e-6
    """To read a score."""
    item: float = 1.1e-5
    """To write what two metrics say of a document."""


TIMES = Times()


@dataclass(frozen=True)
class Case:
    """What is simulated."""

    name: str
    document: float
    """Seconds to score a document, its requests being there."""
    load: float
    """Seconds to open a model."""
    candidates: int = 1000
    documents: int = 100_000
    workers: int = 64
    slow: float = 1.0
    """How much longer scoring takes on every sixteenth worker."""
    least: int = spreading.DOCUMENTS
    parts: int = spreading.PARTS
    first_come: bool = False
    """A worker with nothing left takes what comes first, wherever it is open."""


CASES = (
    Case("as measured: 44 ms a document, 1.9 s to open", 0.041, 1.9),
    Case("the same, 40 candidates, 5,000 documents", 0.041, 1.9, candidates=40, documents=5_000),
    Case("the same, one worker in sixteen at half speed", 0.041, 1.9, slow=2.0),
    Case("the same, 100 candidates in errands of 50 documents", 0.041, 1.9, candidates=100, parts=10**9),
    Case("100 ms a document, 60 s to open", 0.100, 60.0),
    Case("the same, whatever model comes first", 0.100, 60.0, first_come=True),
    Case("10 ms a document, 14 s to open", 0.010, 14.0),
    Case("1 ms a document, 14 s to open", 0.001, 14.0),
    Case("44 ms a document, 256 workers", 0.041, 1.9, workers=256),
    Case("44 ms a document, 1,024 workers", 0.041, 1.9, workers=1024),
)


class World:
    """A clock, and what is asked of ray, of actors and of the store."""

    def __init__(self, case: Case) -> None:
        self.case, self.now, self.spent = case, 0.0, Counter[str]()
        self.loads, self.numbers, self.draw = 0, itertools.count(), random.Random(0)
        self.order: list[tuple[float, int]] = []
        self.results: dict[int, Any] = {}

    def later(self, seconds: float, result: Any = None) -> int:
        """What stands for a result that is there after so long."""
        number = next(self.numbers)
        self.results[number] = result
        heapq.heappush(self.order, (self.now + seconds, number))
        return number

    def driver(self, seconds: float) -> None:
        """The process that writes is at this."""
        self.now += seconds
        self.spent["driver"] += seconds

    def wait(self, *_: object, **__: object) -> tuple[list[int], list[int]]:
        moment, number = heapq.heappop(self.order)
        self.now = max(self.now, moment)
        return [number], []

    def ray(self) -> dict[str, types.ModuleType]:
        made, errors = types.ModuleType("ray"), types.ModuleType("ray.exceptions")
        vars(made).update(
            cluster_resources=lambda: {"CPU": 16.0 * self.case.workers, "GPU": float(self.case.workers)},
            remote=lambda **_: lambda _: SimpleNamespace(remote=lambda: Actor(self)),
            wait=self.wait,
            get=self.results.pop,
            kill=lambda _: None,
        )
        vars(errors).update(RayError=type("RayError", (Exception,), {}), RayTaskError=type("Task", (Exception,), {}))
        return {"ray": made, "ray.exceptions": errors}

    def store(self) -> Any:
        rows = max(self.case.least, -(-self.case.documents // self.case.parts))
        return SimpleNamespace(
            add_scores=lambda *_: self.driver(TIMES.write + 4 * rows * TIMES.score),
            scores=lambda _: self.driver(TIMES.write + 4 * self.case.documents * TIMES.read) or {},
            finish_stage=lambda *_: self.driver(TIMES.write + self.case.documents * TIMES.item),
        )


class Actor:
    """One worker with its accelerator."""

    def __init__(self, world: World) -> None:
        self.world, self.model, self.built = world, "", False
        self.slow = world.case.slow if next(world.numbers) % 16 == 0 else 1.0
        self.ready = SimpleNamespace(remote=lambda: world.later(START))
        self.done = SimpleNamespace(remote=self.does)

    def does(self, _: object, fingerprint: str, task: Any) -> int:
        world, case = self.world, self.world.case
        documents = len(task.benchmark.documents or range(case.documents))
        opening = case.load if self.model != fingerprint else 0.0
        world.loads += opening > 0
        begin = TIMES.begin + (0.0 if self.built else TIMES.build * case.documents / 100_000)
        scores = isinstance(task, Score)
        processor = documents * (TIMES.prepare if scores else TIMES.total)
        accelerator = documents * case.document * self.slow * world.draw.uniform(0.8, 1.2) if scores else 0.0
        self.model, self.built = fingerprint, True
        for what, seconds in (("opening", opening), ("scoring", accelerator), ("busy", accelerator + processor)):
            world.spent[what] += seconds
        result = {} if scores else SimpleNamespace(measurements=(), facts={})
        return world.later(opening + begin + accelerator + processor, result)


class FirstCome(Queue[Errand]):
    """Whoever has nothing left takes what has waited longest."""

    def _need(self, model: str) -> tuple[bool, float]:
        return True, 0.0


def errands(world: World) -> Iterator[Errand]:
    """All of the plan, as `spread` makes them of subjects that have nothing stored."""
    case, store = world.case, world.store()
    benchmark = Benchmark(task="many")
    pieces = [
        (f"{some[0]}", benchmark.model_copy(update={"documents": range(some[0], some[-1] + 1)}))
        for some in spreading.parts(range(case.documents), case.least)
    ]
    context: Any = SimpleNamespace(store=store, data_root=None)
    stage: Any = SimpleNamespace(id="stage")
    for number in range(case.candidates + 1):
        subject: Any = SimpleNamespace(spec=None, fingerprint=f"model {number}")
        yield from spreading._Benchmark(subject, benchmark, stage, context).errands(pieces)


def simulated(case: Case) -> World:
    """The world when all is done."""
    world = World(case)
    spreading.PARTS = case.parts
    sys.modules.update(world.ray())
    run = _Run(list(errands(world)), silent)
    if case.first_come:
        run.queue = FirstCome(queue for waiting in run.queue._waiting.values() for queue in waiting)
    run.go()
    return world


def main() -> None:
    print(f"{CASES[0].candidates:,} candidates and their original, {CASES[0].documents:,} documents, 64 workers\n")
    print("| case | busy | scoring | opening | driver busy | hours | openings |\n|" + "---|" * 7)
    for case in CASES:
        world = simulated(case)
        whole = world.now * case.workers
        shares = [world.spent[what] / whole for what in ("busy", "scoring", "opening")]
        shares.append(world.spent["driver"] / world.now)
        cells = [case.name, *(f"{share:.1%}" for share in shares), f"{world.now / 3600:.2f}", f"{world.loads:,}"]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
