"""Metrics: one file each. A metric reads meters on the original and a candidate in turn, never on one of them alone.

File name = name in a plan = class name in snake case; what it measures is named `<file>.<what>`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from harness.errors import HarnessError
from harness.progress import Progress, silent
from harness.records import Measurement, Price
from suites.document import suggestion

if TYPE_CHECKING:
    from harness.models.opening import LoadedModel

Pair = tuple[Measurement, Measurement]
"""The same quantity, before and after."""
Reading = Pair | tuple[None, Measurement]
"""Or of the candidate alone, where the original has none."""


class Metric(Protocol):
    """A frozen dataclass that is made without arguments, or with the plan's price where it has a field of that name."""

    provides: ClassVar[tuple[str, ...]]
    """What is measured, without the metric's own name."""

    def measure(self, before: LoadedModel, after: LoadedModel, progress: Progress = silent) -> Sequence[Reading]:
        """One reading a quantity; each measurement says its unit and which direction is better."""
        ...


def made(name: str, price: Price | None) -> Metric:
    """A metric as a plan has it."""
    metric = load(name)
    priced = any(field.name == "price" for field in fields(cast(Any, metric)))
    return cast(Any, metric)(price=price) if priced and price else metric()


def names() -> list[str]:
    """All metrics: the files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> type[Metric]:
    """The class of a metric. Raises HarnessError naming all metrics and the nearest."""
    if name not in names():
        raise HarnessError(f"unknown metric '{name}'{suggestion(name, names())}; metrics: {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    metric: type[Metric] = getattr(module, "".join(part.capitalize() for part in name.split("_")))
    return metric
