"""What a file of results says of one model: its numbers, item by item."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.records import Item, Measurement


@dataclass(frozen=True)
class Readings:
    """Everything a file says of one model."""

    format: str
    model: str
    """What the file calls it; empty if it does not."""
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class Reading:
    """One number of one item."""

    metric: str
    item: str
    """The same in the other model's results; an item that comes several times is numbered."""
    hash: str
    """Of everything the model was shown."""
    value: float
    cluster: str = ""


def measured(readings: Iterable[Reading], lower_is_better: Iterable[str] = ()) -> tuple[Measurement, ...]:
    """The readings by metric. lower_is_better: last parts of the metrics' names, behind the point."""
    lower = frozenset(lower_is_better)
    by_metric: dict[str, list[Item]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for one in readings:
        seen[one.metric, one.item] += 1
        count = seen[one.metric, one.item]
        name = one.item if count == 1 else f"{one.item}/{count}"
        by_metric.setdefault(one.metric, []).append(Item(name, one.hash, one.value, one.cluster))
    return tuple(_measurement(metric, tuple(items), lower) for metric, items in sorted(by_metric.items()))


def _measurement(metric: str, items: tuple[Item, ...], lower: frozenset[str]) -> Measurement:
    binary = all(item.value in (0.0, 1.0) for item in items)
    value = math.fsum(item.value for item in items) / len(items)
    higher = metric.rpartition(".")[2] not in lower
    return Measurement(metric, value, "share" if binary else "score", higher, "binary" if binary else "graded", items)


def number(value: object) -> float | None:
    """The value as a number: yes is 1; None for what is none, NaN and infinity too."""
    return float(value) if isinstance(value, bool | int | float) and math.isfinite(value) else None


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """The value, which must be a mapping. Raises HarnessError."""
    if not isinstance(value, dict):
        raise HarnessError(f"{where}: must be a mapping, found {type(value).__name__}")
    return value


def listed(value: object, where: str) -> list[Any]:
    """The value, which must be a list. Raises HarnessError."""
    if not isinstance(value, list):
        raise HarnessError(f"{where}: must be a list, found {type(value).__name__}")
    return value


def read_constant(name: str) -> float:
    """What stands for NaN and the infinities of Python's JSON: no number, so that the item has no value."""
    return math.nan
