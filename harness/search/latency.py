"""How long a decoder layer takes by what it keeps, measured; and from that how fast a shape would be."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import isotonic_regression

from harness.errors import HarnessError
from harness.metrics.speed import Speed, rates
from harness.workload import Workload, read_in_turns

if TYPE_CHECKING:
    from compress import Shape
    from compress.anatomy.blocks import Block
    from harness.models.opening import LoadedModel
    from harness.progress import Progress

LAYERS = 4
"""Decoder layers that are timed together, at most: one alone is little beside the output layer."""
BLOCKS = 6
SHARES = (0.125, 0.25, 0.5, 0.75)
"""Of a layer's FFN channels and kv groups: where the table is measured, besides the whole layer."""
Timed = Callable[[str, float, Callable[[], float]], float]
"""Name of a reading, what the layer keeps, the reading -> seconds; one that is written down is not made again."""


@dataclass(frozen=True)
class Latency:
    """Seconds of one token, read or written; a layer's are those of its FFN channels and of its kv groups together."""

    rest: float
    """All but the decoder layers."""
    channels: tuple[tuple[int, float], ...]
    """FFN channels kept, rising, all groups there -> seconds of one layer."""
    groups: tuple[tuple[int, float], ...]
    """kv groups kept, rising, all channels there -> seconds of one layer."""

    def seconds(self, shape: Shape) -> float:
        """Of a whole model of this shape; between two measured widths on the line through them."""
        whole = self.groups[-1][1]
        kept = [shape.layers[index] for index in shape.kept]
        each = (_at(self.channels, len(one.channels)) + _at(self.groups, len(one.groups)) - whole for one in kept)
        return self.rest + sum(each)


def latency(rest: float, channels: Sequence[tuple[int, float]], groups: Sequence[tuple[int, float]]) -> Latency:
    """Of what was measured, of which noise may have said that less takes longer (isotonic regression)."""
    return Latency(rest, _risen(channels), _risen(groups))


def _risen(measured: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    places, seconds = zip(*measured, strict=True)
    return tuple(zip(places, map(float, isotonic_regression(seconds).x), strict=True))


def _at(known: Sequence[tuple[int, float]], place: int) -> float:
    places, seconds = zip(*known, strict=True)
    return float(np.interp(place, places, seconds))


@dataclass(frozen=True)
class Stand:
    """Times cut copies of a few of the original's layers beside those layers as they are, in turns."""

    original: LoadedModel
    prefill: bool
    """Whether reading is timed, not writing."""
    progress: Progress

    def table(self, timed: Timed, with_groups: bool) -> Latency:
        """Raises HarnessError for an original whose layers differ. with_groups: whether kv groups may go too."""
        block = self._block()
        layers, few = min(LAYERS, block[1]), self._layers
        base = few(min(LAYERS, block[1]), None, None)
        whole = timed("layers", layers, lambda: self._seconds(base, base))
        rest = timed("rest", 0, lambda: self._rest(base, layers, whole))
        one = (whole - rest) / layers

        def row(name: str, kept: int, channels: int | None, groups: int | None) -> tuple[int, float]:
            seconds = timed(name, kept, lambda: whole * self._ratio(base, few(layers, channels, groups)))
            return kept, max((seconds - rest) / layers, 0.0)

        wide, heads = block[0].channels, block[0].kv_heads
        of_channels = [row("channels", kept, kept, None) for kept in _steps(wide)]
        of_groups = [row("groups", kept, None, kept) for kept in _steps(heads)] if with_groups else []
        return latency(rest, [*of_channels, (wide, one)], [*of_groups, (heads, one)])

    def _block(self) -> tuple[Block, int]:
        """One of the layers, and how many there are."""
        from compress.anatomy.blocks import blocks

        found = blocks(self.original.model)
        if len({(block.channels, block.kv_heads) for block in found}) > 1:
            raise HarnessError(
                f"{self.original.spec.source}: its layers differ in width; a target of speed needs equal ones"
            )
        return found[0], len(found)

    def _layers(self, count: int, channels: int | None, groups: int | None) -> LoadedModel:
        """A copy with the first so many layers, each with so many channels and groups; None: all."""
        from compress.anatomy.blocks import blocks
        from compress.cutting.cut import cut_
        from compress.planning.plan import whole

        model = copy.deepcopy(self.original.model)
        shape = whole(blocks(model))
        kept = [
            replace(layer, channels=layer.channels[:channels], groups=layer.groups[:groups])
            if index < count
            else replace(layer, channels=(), groups=())
            for index, layer in enumerate(shape.layers)
        ]
        cut_(model, replace(shape, layers=tuple(kept)))
        return replace(self.original, model=model)

    def _rest(self, base: LoadedModel, layers: int, whole: float) -> float:
        """What a model without layers would take, from one with all and one with half of them."""
        half = max(1, layers // 2)
        if half == layers:
            return 0.0
        shorter = whole * self._ratio(base, self._layers(half, None, None))
        return max((shorter * layers - whole * half) / (layers - half), 0.0)

    def _ratio(self, base: LoadedModel, other: LoadedModel) -> float:
        """Seconds of the other by those of the base, turn by turn."""
        first, second = self._turns(base, other)
        return median(mine / own for mine, own in zip(first, second, strict=True))

    def _seconds(self, base: LoadedModel, other: LoadedModel) -> float:
        return 1 / median(self._turns(base, other)[0])

    def _turns(self, base: LoadedModel, other: LoadedModel) -> tuple[list[float], list[float]]:
        """Tokens a second of both, block by block."""
        speed = Speed()
        work = Workload(speed.prompt_tokens, speed.new_tokens)
        read = read_in_turns(
            "latency", (base, other), BLOCKS, lambda loaded: rates(loaded, work, speed.repeats), self.progress
        )
        return read["latency.prefill" if self.prefill else "latency.decode"]


def _steps(whole: int) -> Iterator[int]:
    """Rising, in eights where that is possible, below the whole."""
    step = 8 if whole >= 64 else 1
    found = {max(step, round(share * whole / step) * step) for share in SHARES}
    return iter(sorted(kept for kept in found if kept < whole))
