"""The same work on many things, several at a time, results as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def finished(work: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[list[Result]]:
    """Results, none of them None, in the order in which they come; those that are there together come together.

    When `work` raises, no job is begun any more, those under way are still handed over, and then it is raised here.
    Threads do not outlive the process: an interrupt waits for no request.
    """
    waiting: SimpleQueue[Job] = SimpleQueue()
    done: SimpleQueue[Result | Exception | None] = SimpleQueue()
    stop = threading.Event()
    for job in jobs:
        waiting.put(job)

    def one_after_the_other() -> None:
        try:
            while not stop.is_set():
                done.put(work(waiting.get_nowait()))
        except Empty:
            pass
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
            stop.set()
            done.put(error)
        done.put(None)

    running = min(workers, len(jobs))
    for _ in range(running):
        threading.Thread(target=one_after_the_other, daemon=True).start()
    first: Exception | None = None
    try:
        while running:
            found = [done.get()]
            while not done.empty():
                found.append(done.get())
            running -= found.count(None)
            first = next((one for one in [first, *found] if isinstance(one, Exception)), None)
            if results := [one for one in found if one is not None and not isinstance(one, Exception)]:
                yield results
    finally:
        stop.set()
    if first is not None:
        raise first
