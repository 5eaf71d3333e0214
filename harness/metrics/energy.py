"""How much energy a model takes to read and to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.meters import POWERCAP, Meter, joules, meters
from harness.metrics import Pair
from harness.models.opening import LoadedModel
from harness.progress import Progress, silent
from harness.workload import Workload, blocked, decode, prefill, read_in_turns

UNIT = "J/token"


@dataclass(frozen=True)
class Energy:
    """energy.prefill and energy.decode: joules a token, one prompt at a time, of all packages and boards together.

    The counters know the whole machine, idle and other work included. So the two models take turns as for speed, and
    what goes on beside them falls on both; the same block of both is a pair.
    """

    provides: ClassVar[tuple[str, ...]] = ("prefill", "decode")

    blocks: int = 10
    repeats: int = 3
    prompt_tokens: int = 64
    new_tokens: int = 16
    root: Path = POWERCAP

    def measure(self, before: LoadedModel, after: LoadedModel, progress: Progress = silent) -> list[Pair]:
        """Two pairs with `blocks` items each. Raises NotMeasuredError where the machine reports no energy."""
        of = meters(before.device.startswith("cuda"), self.root)
        work = Workload(self.prompt_tokens, self.new_tokens)
        named = read_in_turns(
            "energy", (before, after), self.blocks, lambda loaded: self._block(loaded, work, of), progress
        )
        return [
            (blocked(name, first, work, UNIT, False), blocked(name, second, work, UNIT, False))
            for name, (first, second) in named.items()
        ]

    def _block(self, loaded: LoadedModel, work: Workload, of: Sequence[Meter]) -> tuple[float, float]:
        """Joules a token, read and written."""
        prompt = work.prompt(loaded)
        begun = [meter.microjoules() for meter in of]
        for _ in range(self.repeats):
            token, cache = prefill(loaded, prompt)
        middle = [meter.microjoules() for meter in of]
        decode(loaded, token, cache, work.new_tokens)
        ended = [meter.microjoules() for meter in of]
        read = joules(begun, middle, of) / (self.repeats * work.prompt_tokens)
        return read, joules(middle, ended, of) / work.new_tokens
