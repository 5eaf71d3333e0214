"""Items that are asked a few at a time, in random order: which of a set were asked, and how many there are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from itertools import takewhile

from harness.records import DRAWN, Measurement, Run
from harness.statistics.series import Series
from harness.verdicts.measured import measured_series
from harness.verdicts.named import with_named
from harness.verdicts.pairing import CasePair, suite_series


def drawing_order(ids: Iterable[str]) -> list[str]:
    """The ids in an order that has nothing to do with them, the same for every model and in every run."""
    return sorted(ids, key=lambda name: hashlib.sha256(f"drawn: {name}".encode()).digest())


def set_fact(documents: Sequence[int]) -> str:
    """A set of documents as a fact of a stage: how many, where it is the first so many, else their numbers."""
    if tuple(documents) == tuple(range(len(documents))):
        return str(len(documents))
    return "".join(f"{number}," for number in documents)


def _set_of(fact: str) -> list[str]:
    """The ids of the documents that `set_fact` tells of."""
    return fact.split(",")[:-1] if "," in fact else list(map(str, range(int(fact))))


def drawn_suite(suite: str, pairs: Sequence[CasePair]) -> tuple[list[CasePair], list[Series]]:
    """The cases that both models were asked, in the order of drawing, and the suite's metrics on them."""
    by_id = {pair.case.id: pair for pair in pairs}
    asked = _drawn(by_id, {name for name, pair in by_id.items() if pair.before and pair.after})
    both = [by_id[name] for name in asked]
    unasked = tuple(frozenset(pair.case.tags) for name, pair in by_id.items() if name not in set(asked))
    series = with_named(suite, both, suite_series(suite, both, asked=True), asked=True)
    return both, [replace(one, in_looks=True, unasked=unasked) for one in series]


Laying = Callable[[Measurement | None, Measurement | None], Series]
"""One measurement of both models -> the two side by side."""


def drawn_series(metric: str, before: Run, after: Run, laid: Laying = measured_series) -> Series:
    """One measurement of both, on the documents that both were asked where those are drawn, else as it is."""
    old, new = before.measurements.get(metric), after.measurements.get(metric)
    whole = _whole(metric, after)
    if whole is None or old is None or new is None or not (old.items and new.items):
        return laid(old, new)
    asked = _drawn(whole, {item.id for item in old.items} & {item.id for item in new.items})
    series = laid(_only(old, asked), _only(new, asked))
    return replace(series, in_looks=True, unasked=(frozenset(),) * (len(whole) - len(asked)))


def _drawn(ids: Iterable[str], asked: Set[str]) -> list[str]:
    """Those that were asked, up to the first in the order of drawing that was not."""
    return list(takewhile(lambda name: name in asked, drawing_order(ids)))


def _whole(metric: str, run: Run) -> list[str] | None:
    """Ids of the documents that those behind a metric were drawn from; None if they were not drawn."""
    facts = (key.removesuffix(f": {DRAWN}") for key in run.facts if key.endswith(f": {DRAWN}"))
    return next((_set_of(run.facts[f"{name}: {DRAWN}"]) for name in facts if metric.startswith(f"{name}.")), None)


def _only(one: Measurement, ids: Sequence[str]) -> Measurement:
    items = {item.id: item for item in one.items}
    return replace(one, items=tuple(items[name] for name in ids))
