"""How well 64 accelerators are used by 1,000 candidates x 100,000 documents, simulated, and what is in the way.

    python tests/races/scale.py

What finds the work, cuts and places it is secateur's own: `_Work`, `parts`, `_Benchmark`, `Fidelity`, `Queue` and the
whole loop of the Ray executor run as they are. Only ray, the store and the models are make-believe: a call of an actor
and a write of the store take their time on a clock of numbers. The one process that hands out and writes does one thing
at a time, as in truth. Every candidate is made, asked a benchmark and compared by 10,000 tokens of text.

Measured on one core of an AMD EPYC (CPU seconds, 2026-11-29): all of `Times`, and that a document of
`secateur_everyday` takes the embedded model 44 ms in all, and to open it 1.9 s. Assumed: every other time of a document
or an opening, which stands in the row's name; that making and comparing a candidate are then faster or slower as
scoring is; and that a worker's processor and its accelerator take turns, as they do now. Busy is the share of time in
which workers do what the plan asks, which is not to wait, to open models or to look for documents; scoring the part of
it that an accelerator would do.
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
import types
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.executors import spreading
from harness.executors.errands import Compare, Errand, Make, Refer, Score
from harness.executors.placing import Queue
from harness.executors.ray import _Run
from harness.executors.sizing import Cluster
from harness.fidelity.corpus import Corpus
from harness.models.subject import Subject
from harness.plan import Benchmark
from harness.plan_models import Candidate
from harness.progress import silent
from harness.records import ModelSpec

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
    begin_stage: float = 0.040
    """To find, or note, where results go; the driver does so for everything that is asked of a candidate."""
    fidelity: float = 0.050
    """To write what 10,000 tokens of text say."""
    calibrate: float = 12.6
    """The statistics that candidates are cut by, where a worker has none yet."""
    make: float = 3.4
    """A candidate by these."""
    compare: float = 39.6
    """10,000 tokens through a candidate, beside what is known of the original, whose own pass takes as long."""


TIMES = Times()
DOCUMENT = 0.041
"""Seconds to score a document, where all others were measured."""


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
    Case("as measured: 44 ms a document, 1.9 s to open", DOCUMENT, 1.9),
    Case("the same, 40 candidates, 5,000 documents", DOCUMENT, 1.9, candidates=40, documents=5_000),
    Case("the same, one worker in sixteen at half speed", DOCUMENT, 1.9, slow=2.0),
    Case("the same, 100 candidates in errands of 50 documents", DOCUMENT, 1.9, candidates=100, parts=10**9),
    Case("100 ms a document, 60 s to open", 0.100, 60.0),
    Case("the same, whatever model comes first", 0.100, 60.0, first_come=True),
    Case("10 ms a document, 14 s to open", 0.010, 14.0),
    Case("1 ms a document, 14 s to open", 0.001, 14.0),
    Case("44 ms a document, 256 workers", DOCUMENT, 1.9, workers=256),
    Case("44 ms a document, 1,024 workers", DOCUMENT, 1.9, workers=1024),
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
            remote=lambda **_: lambda _: SimpleNamespace(remote=lambda _: Actor(self)),
            wait=self.wait,
            get=self.results.pop,
            kill=lambda _: None,
        )
        vars(errors).update(RayError=type("RayError", (Exception,), {}), RayTaskError=type("Task", (Exception,), {}))
        return {"ray": made, "ray.exceptions": errors}

    def store(self) -> Any:
        rows, numbers = max(self.case.least, -(-self.case.documents // self.case.parts)), itertools.count()

        def begin_stage(*_: object, **__: object) -> Any:
            self.driver(TIMES.begin_stage)
            return SimpleNamespace(id=f"stage {next(numbers)}", finished=False)

        def finish_stage(_: str, result: object = (), *__: object, **___: object) -> None:
            whole = result is WHOLE
            self.driver(TIMES.write + self.case.documents * TIMES.item if whole else TIMES.fidelity)

        return SimpleNamespace(
            begin_stage=begin_stage,
            add_scores=lambda *_: self.driver(TIMES.write + 4 * rows * TIMES.score),
            scores=lambda _: self.driver(TIMES.write + 4 * self.case.documents * TIMES.read) or {},
            finish_stage=finish_stage,
        )


WHOLE = ("a whole benchmark",)
"""Stands for its measurements."""


class Actor:
    """One worker with its accelerator."""

    def __init__(self, world: World) -> None:
        self.world, self.model, self.built, self.calibrated = world, "", False, False
        self.slow = world.case.slow if next(world.numbers) % 16 == 0 else 1.0
        self.ready = SimpleNamespace(remote=lambda: world.later(START))
        self.done = SimpleNamespace(remote=self.does)

    def does(self, _: object, fingerprint: str, task: Any) -> int:
        world, case = self.world, self.world.case
        opening = case.load if self.model != fingerprint else 0.0
        world.loads += opening > 0
        idle, processor, accelerator, result = self.work(task)
        accelerator *= self.slow * world.draw.uniform(0.8, 1.2)
        self.model = fingerprint
        for what, seconds in (("opening", opening), ("scoring", accelerator), ("busy", accelerator + processor)):
            world.spent[what] += seconds
        return world.later(opening + idle + processor + accelerator, result)

    def work(self, task: Any) -> tuple[float, float, float, Any]:
        """Seconds to look for documents, of the processor and of the accelerator, and what comes of it."""
        case, speed = self.world.case, self.world.case.document / DOCUMENT
        if isinstance(task, Make):
            calibrating = 0.0 if self.calibrated else TIMES.calibrate
            self.calibrated = True
            return 0.0, 0.0, (calibrating + TIMES.make) * speed, [f"model of {spec.name}" for spec in task.specs]
        if isinstance(task, (Refer, Compare)):
            known = SimpleNamespace(measurements=(), divergence=None)
            return 0.0, 0.0, TIMES.compare * speed, (Path("pass"), None, 1) if isinstance(task, Refer) else known
        documents = len(task.benchmark.documents or range(case.documents))
        begin = TIMES.begin + (0.0 if self.built else TIMES.build * case.documents / 100_000)
        self.built = True
        if isinstance(task, Score):
            return begin, documents * TIMES.prepare, documents * case.document, {}
        return begin, documents * TIMES.total, 0.0, SimpleNamespace(measurements=WHOLE, facts={})


class FirstCome(Queue[Errand]):
    """Whoever has nothing left takes what has waited longest."""

    def _need(self, model: str) -> tuple[bool, float]:
        return True, 0.0


def errands(world: World) -> Iterable[Errand]:
    """All of the plan, as `spread` makes them where nothing is stored."""
    case, names = world.case, [f"candidate {number}" for number in range(world.case.candidates)]
    plan: Any = SimpleNamespace(
        candidates={name: Candidate(recipe="cfsp-20") for name in names},
        benchmarks=[Benchmark(task="many")],
        fidelity=SimpleNamespace(),
        half=None,
        original=SimpleNamespace(dtype=None),
    )
    workshop: Any = SimpleNamespace(
        missing=lambda: [(name,) for name in names],
        recipes={name: SimpleNamespace(recovery=None) for name in names},
        place=Path,
        folder=Path("models"),
    )
    context: Any = SimpleNamespace(
        plan=plan, store=world.store(), suites=(), data_root=None, since="", references=Path(), progress=silent
    )
    spreading.load_corpora = lambda *_: [Corpus("text", ("text",), 512, 10_000)]  # type: ignore[assignment]
    spreading.drawable = lambda *_: range(case.documents)  # type: ignore[assignment]
    spreading.benchmark_stage = lambda *_: context.store.begin_stage()  # type: ignore[assignment]
    original = Subject(ModelSpec("original", "somewhere"), silent, fingerprint="original")
    return spreading._Work(original, workshop, context).errands()


def simulated(case: Case) -> World:
    """The world when all is done."""
    world = World(case)
    spreading.PARTS, spreading.DOCUMENTS = case.parts, case.least
    sys.modules.update(world.ray())
    run = _Run((), silent, Cluster(16 * case.workers, (1,) * case.workers))
    if case.first_come:
        run.queues = {1: FirstCome(())}
    run._add(errands(world))
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
