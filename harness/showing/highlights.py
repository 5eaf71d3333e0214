"""The worst things and the best thing of a candidate: what a reader must see first, and never what may be chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from harness.showing.numbers import FALSE_MARKS, changed, unit_of
from harness.statistics.corrections import benjamini_hochberg
from harness.statistics.delta import Delta
from harness.verdicts.finding import Finding, limit_of
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import rule
from reports.overview import Highlight
from reports.page import TagRow

WORST = 3
BOUND = NormalDist().inv_cdf(0.95)
"""Standard errors between an estimate and its one-sided 95 % bound."""


@dataclass(frozen=True)
class Ranked:
    """A highlight and its place: broken blocking gates first, then by share, then by size."""

    highlight: Highlight
    gate: bool
    share: float
    """Of a gate: how far beyond its limit, beside the larger of both; else how much was lost or won."""
    family: str
    """What it speaks of; of one family only the first is shown."""


def notable(verdict: Verdict, deltas: Mapping[str, Delta], tags: Sequence[TagRow]) -> list[Ranked]:
    """All that can be a highlight of one candidate.

    Gates that are broken; exact readings; numbers and tags whose change holds among all of the candidate's by Benjamini
    and Hochberg.
    """
    name = verdict.candidate
    broken = [finding for finding in verdict.findings if finding.decision == "REGRESSION"]
    told = {_family(finding.gate.metric) for finding in broken}
    others = [delta for metric, delta in deltas.items() if _family(metric) not in told]
    return [*_gates(broken, name), *_numbers(others, name), *_tags(tags, name)]


def chosen(found: Iterable[Ranked]) -> tuple[Highlight, ...]:
    """The three worst, worst first, and the best one; of one family only one, whichever candidate it is of."""
    ordered = sorted(found, key=lambda one: (not one.gate, -one.share, -abs(one.highlight.after or 0.0)))
    first: dict[tuple[str, str], Highlight] = {}
    for one in ordered:
        first.setdefault((one.highlight.tone, one.family), one.highlight)
    worst = [highlight for highlight in first.values() if highlight.tone == "worse"]
    best = [highlight for highlight in first.values() if highlight.tone == "better"]
    return (*worst[:WORST], *best[:1])


def _gates(findings: Iterable[Finding], candidate: str) -> Iterator[Ranked]:
    for finding in findings:
        delta, gate = finding.delta, finding.gate
        what = f"{gate.metric}, {gate.scope}" if gate.scope else gate.metric
        why = f"gate: {rule(gate, delta.unit)}"
        highlight = Highlight("worse", candidate, what, unit_of(delta), delta.before, delta.after, why)
        limit = limit_of(gate)[1]
        beyond = 1.0 if delta.estimate is None else _share(limit, delta.estimate)
        yield Ranked(highlight, finding.severity == "block", beyond, what)


def _numbers(deltas: Iterable[Delta], candidate: str) -> Iterator[Ranked]:
    compared = [delta for delta in deltas if delta.of == "drop" and delta.low is not None and delta.drop]
    exact = [delta for delta in compared if delta.low == delta.high]
    tested = [delta for delta in compared if delta.low != delta.high]
    holds = benjamini_hochberg(np.array([_p(delta) for delta in tested]), FALSE_MARKS)
    for delta in (*exact, *(delta for delta, held in zip(tested, holds, strict=True) if held)):
        if delta.before is None or delta.after is None or delta.drop is None:
            continue
        tone, unit = changed(delta.drop), unit_of(delta)
        highlight = Highlight(tone, candidate, delta.metric, unit, delta.before, delta.after)
        if delta.low is not None and delta.high is not None and delta.low != delta.high:
            low, high = sorted((abs(delta.low), abs(delta.high)))
            highlight = replace(highlight, low=low, high=high)
        yield Ranked(highlight, False, _share(delta.before, delta.after), _family(delta.metric))


def _tags(tags: Iterable[TagRow], candidate: str) -> Iterator[Ranked]:
    for tag in tags:
        if tag.change != "unclear":
            what = f"{tag.suite}, tag {tag.tag}"
            why = f"{tag.n} cases, unlikely to be chance among all tags"
            highlight = Highlight(tag.change, candidate, what, "share", tag.before, tag.after, why)
            yield Ranked(highlight, False, _share(tag.before, tag.after), what)


def _p(delta: Delta) -> float:
    """Two-sided, of no change: exact McNemar where items are independent, else from the interval as if normal."""
    if delta.p is not None and delta.clusters == delta.n:
        return delta.p
    if delta.drop is None or delta.low is None or delta.high is None:
        return 1.0
    bound = delta.low if delta.drop > 0 else delta.high
    if delta.drop * bound <= 0:
        return 1.0
    return 2 * NormalDist().cdf(-BOUND * abs(delta.drop) / abs(delta.drop - bound))


def _share(here: float, there: float) -> float:
    """How far apart two values are beside the larger one."""
    largest = max(abs(here), abs(there))
    return abs(here - there) / largest if largest else 0.0


def _family(metric: str) -> str:
    """The suite, benchmark or meter that a metric is of."""
    return metric.rpartition(".")[0]
