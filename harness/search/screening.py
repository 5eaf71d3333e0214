"""The cheap first look: a few cuts of a variant, and how far each leads away from the original on held-out text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.fidelity.corpus import Corpus, load_corpora
from harness.gates import Gate
from harness.measuring import faithful
from harness.plan import Fidelity
from harness.records import Measurement
from harness.search.bench import Bench
from harness.search.variants import Variant
from harness.statistics.means import labels, mean
from harness.statistics.rising import Band, Rising, rising
from harness.stores.trials import TrialRow
from harness.verdicts.finding import limit_of

DIVERGENCE = "fidelity.kl"
DISTANCES: dict[tuple[str, str], Callable[[float], float]] = {
    (DIVERGENCE, "max"): lambda value: value,
    ("fidelity.perplexity_ratio", "max"): lambda value: value,
    ("fidelity.top1", "min"): lambda value: 1.0 - value,
    ("fidelity.probability_change", "min"): lambda value: -value,
}
"""Metric and form of a gate -> an item's value as a distance from the original, which is 0 for the original itself."""


@dataclass(frozen=True)
class Screening:
    """What one variant does to text, by sparsity."""

    variant: Variant
    divergence: Rising
    gated: tuple[Band, ...]
    """At which sparsity each gate on fidelity breaks."""


@dataclass(frozen=True)
class Screen:
    """Looks at cuts."""

    bench: Bench
    corpus: Corpus
    known: dict[tuple[str, float], dict[str, Measurement]] = field(default_factory=dict)
    """Variant and sparsity -> what was measured."""

    def screened(self, variant: Variant, places: Sequence[float]) -> Screening | None:
        """Look at a variant's cuts of these sparsities; None where none of them leaves a model that says anything."""
        found = {place: self._measured(variant, place) for place in places}
        sound = [place for place, one in found.items() if one[DIVERGENCE].items]
        if not sound:
            return None
        gated = []
        for gate in self.bench.searched.plan.gates:
            distance = DISTANCES.get((gate.metric, limit_of(gate)[0]))
            if distance and gate.severity == "block":
                curve = _curve(sound, [found[place][gate.metric] for place in sound], distance)
                gated.append(curve.reaches(_height(gate, distance)))
        divergence = _curve(sound, [found[place][DIVERGENCE] for place in sound], DISTANCES[DIVERGENCE, "max"])
        return Screening(variant, divergence, tuple(gated))

    def _measured(self, variant: Variant, place: float) -> dict[str, Measurement]:
        """Metric -> what was measured of one cut, now or before."""
        if (variant.name, place) not in self.known:
            row = self.bench.ledger.begun("screen", variant.name, place)
            self.bench.ledger.step(row, lambda: self._looked(row, variant))
            self.known[variant.name, place] = self._asked(variant, place)
        return self.known[variant.name, place]

    def _asked(self, variant: Variant, place: float) -> dict[str, Measurement]:
        subject = self.bench.cuts.subject(variant, place)
        _, stage = faithful(self.bench.original, subject, self.corpus, self.bench.searched)
        subject.release()
        return {one.metric: one for one in self.bench.store.measurements(stage)}

    def _looked(self, row: TrialRow, variant: Variant) -> TrialRow:
        items = self._asked(variant, row.sparsity)[DIVERGENCE].items
        _, parameters = self.bench.cuts.forecast(variant, row.sparsity).parameters
        row = replace(row, parameters=parameters)
        if not items:
            return replace(row, reason="what it says is no number")
        values, weights = (np.array([getattr(item, name) for item in items]) for name in ("value", "weight"))
        known = mean(values, labels(tuple(item.cluster for item in items)), weights)
        low, high = known.interval(0.05) if known.clusters > 1 else (math.nan, math.nan)
        ends = [end if math.isfinite(end) else None for end in (max(low, 0.0), high)]
        return replace(row, divergence=known.value, divergence_low=ends[0], divergence_high=ends[1])


def screen_of(bench: Bench) -> Screen:
    """With the text of the plan's fidelity, or the built-in one."""
    plan, form = bench.searched.plan, bench.form.screen
    corpora = load_corpora(plan.fidelity or Fidelity(), plan.half)
    documents = tuple(text for corpus in corpora for text in corpus.documents)
    return Screen(bench, Corpus("the text of the screen", documents, form.window, form.tokens))


def _height(gate: Gate, distance: Callable[[float], float]) -> float:
    _, limit = limit_of(gate)
    return distance(math.log(limit) if gate.metric.endswith("perplexity_ratio") and limit > 0 else limit)


def _curve(places: Sequence[float], found: Sequence[Measurement], distance: Callable[[float], float]) -> Rising:
    """Over documents, which are what is drawn anew: their windows hang together."""
    clusters = labels(tuple(item.cluster for item in found[0].items))
    weights = np.array([item.weight for item in found[0].items])
    of_documents = np.bincount(clusters, weights=weights).astype(np.float64)
    columns = [
        np.bincount(clusters, weights=weights * np.array([distance(item.value) for item in one.items])) / of_documents
        for one in found
    ]
    return rising(np.array(places), np.column_stack(columns), of_documents)
