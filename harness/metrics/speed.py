"""How fast a model reads and writes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

from harness.metrics import Pair
from harness.models.opening import LoadedModel
from harness.progress import Progress, silent
from harness.workload import Workload, blocked, decode, prefill, read_in_turns

UNIT = "tokens/s"


@dataclass(frozen=True)
class Speed:
    """speed.prefill and speed.decode: tokens a second of wall time, one prompt at a time.

    The two models take turns block by block, and in each block the other one begins, so that a machine that grows
    slower or faster meanwhile favours neither. In a block the prompt is read `repeats` times and each new token is
    timed by itself; the medians count, so that a moment in which other work came between does not. An item is a block;
    the same block of both models is a pair.
    """

    provides: ClassVar[tuple[str, ...]] = ("prefill", "decode")

    blocks: int = 10
    repeats: int = 3
    prompt_tokens: int = 64
    new_tokens: int = 6

    def measure(self, before: LoadedModel, after: LoadedModel, progress: Progress = silent) -> list[Pair]:
        """Two pairs with `blocks` items each, after a first block of both that does not count."""
        work = Workload(self.prompt_tokens, self.new_tokens)
        named = read_in_turns(
            "speed", (before, after), self.blocks, lambda loaded: rates(loaded, work, self.repeats), progress
        )
        return [
            (blocked(name, first, work, UNIT, True), blocked(name, second, work, UNIT, True))
            for name, (first, second) in named.items()
        ]


def rates(loaded: LoadedModel, work: Workload, repeats: int) -> tuple[float, float]:
    """Tokens a second, read and written."""
    prompt = work.prompt(loaded)
    reading, writing = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        token, cache = prefill(loaded, prompt)
        reading.append(time.perf_counter() - start)
    for _ in range(work.new_tokens):
        start = time.perf_counter()
        token = decode(loaded, token, cache, 1)
        writing.append(time.perf_counter() - start)
    return work.prompt_tokens / median(reading), 1 / median(writing)
