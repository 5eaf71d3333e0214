"""What all candidates of a job come to together: the verdict in words, trade-offs, and what seeds alone change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from compress import Recipe
from harness.records import ORIGINAL
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import EXIT_CODES, deciders, sentence, worst
from reports.overview import SpreadRow, Tradeoff, TradePoint
from reports.page import CandidatePage, MetricRow

QUALITY = (".pass_rate", ".acc", "fidelity.top1")
"""Ends of the metrics that a trade-off may show as quality, the most telling first."""
RESOURCES = ("size.bytes", "speed.decode", "memory.peak", "energy.", "cost.")
"""Beginnings of the metrics that it may show as resource; of each the first that was measured."""
RISES = ("speed.",)
"""Beginnings of those of which more is better."""


def in_words(verdicts: Sequence[Verdict]) -> str:
    """The verdict of a job as one clause, on the candidates that decide."""
    verdicts = deciders(verdicts)
    count, decision = len(verdicts), worst([verdict.decision for verdict in verdicts])
    if count == 1:
        name = verdicts[0].candidate
        return {
            "PASS": f"{name} keeps to its gates",
            "REGRESSION": f"{name} got worse than its gates allow",
            "INCONCLUSIVE": f"It is not proved whether {name} keeps to its gates",
        }[decision]
    such = sum(verdict.decision == decision for verdict in verdicts)
    return {
        "PASS": f"All {count} candidates keep to their gates",
        "REGRESSION": f"{such} of {count} candidates got worse than the gates allow",
        "INCONCLUSIVE": f"Of {such} of {count} candidates it is not proved whether they keep to their gates",
    }[decision]


def reason(verdicts: Sequence[Verdict]) -> str:
    """Why, in one sentence: of several candidates that decide that of the first of the worst."""
    verdicts = deciders(verdicts)
    decision = worst([verdict.decision for verdict in verdicts])
    first = next(verdict for verdict in verdicts if verdict.decision == decision)
    named = f"{first.candidate}: " if len(verdicts) > 1 and decision != "PASS" else ""
    why = "All blocking gates pass." if len(verdicts) > 1 and decision == "PASS" else sentence([first])
    return f"{named}{why} Exit code {EXIT_CODES[decision]}."


def tradeoffs(candidates: Sequence[CandidatePage]) -> tuple[Tradeoff, ...]:
    """The most telling quality against each resource, the resource as a multiple of the original's.

    Each candidate is held against its own reading of the original, since a machine is not the same at all times. None
    where fewer than two candidates have both.
    """
    quality = next((metric for end in QUALITY for metric in _metrics(candidates) if metric.endswith(end)), None)
    if quality is None:
        return ()
    names = (next((metric for metric in _metrics(candidates) if metric.startswith(start)), None) for start in RESOURCES)
    made = (_tradeoff(candidates, quality, resource) for resource in names if resource)
    return tuple(one for one in made if sum(point.name != ORIGINAL for point in one.points) > 1)


def spreads(
    candidates: Sequence[CandidatePage], recipes: Mapping[str, Recipe], metrics: Sequence[str]
) -> tuple[SpreadRow, ...]:
    """What seeds alone change: these metrics of candidates whose recipes are equal but for them.

    recipes: by candidate.
    """
    groups: dict[str, list[CandidatePage]] = {}
    for candidate in candidates:
        if candidate.name in recipes:
            recipe = recipes[candidate.name].model_dump(mode="json")
            groups.setdefault(json.dumps(_seedless(recipe), sort_keys=True), []).append(candidate)
    return tuple(row for group in groups.values() if len(group) > 1 for row in _spread(group, metrics))


def _spread(group: Sequence[CandidatePage], metrics: Iterable[str]) -> Iterator[SpreadRow]:
    names = tuple(candidate.name for candidate in group)
    for metric in metrics:
        rows = [row for candidate in group for row in candidate.numbers if row.metric == metric]
        values = tuple(row.after for row in rows if row.after is not None)
        if len(values) == len(group):
            yield SpreadRow(names, metric, rows[0].unit, values)


def _seedless(value: object) -> object:
    """Without any key "seed", however deep."""
    if isinstance(value, dict):
        return {key: _seedless(part) for key, part in value.items() if key != "seed"}
    return [_seedless(part) for part in value] if isinstance(value, list) else value


def _tradeoff(candidates: Sequence[CandidatePage], quality: str, resource: str) -> Tradeoff:
    found = [(candidate.name, _row(candidate, quality), _row(candidate, resource)) for candidate in candidates]
    points = [point for name, good, dear in found if good and dear for point in _point(name, good, dear)]
    before = next((good.before for _, good, _ in found if good and good.before is not None), None)
    original = [] if before is None else [TradePoint(ORIGINAL, 1.0, before)]
    unit = next(good.unit for _, good, _ in found if good)
    points = [*original, *points]
    return Tradeoff(
        quality, unit, resource, "ratio", "higher" if resource.startswith(RISES) else "lower", tuple(points)
    )


def _point(name: str, good: MetricRow, dear: MetricRow) -> Iterator[TradePoint]:
    if good.after is not None and dear.before and dear.after is not None:
        low, high = good.low, good.high
        if good.of == "drop":
            low, high = (None if bound is None or good.before is None else good.before - bound for bound in (high, low))
        if good.unit == "share":
            low, high = (None if bound is None else min(1.0, max(0.0, bound)) for bound in (low, high))
        yield TradePoint(name, dear.after / dear.before, good.after, low, high)


def _row(candidate: CandidatePage, metric: str) -> MetricRow | None:
    return next((row for row in candidate.numbers if row.metric == metric), None)


def _metrics(candidates: Iterable[CandidatePage]) -> list[str]:
    """Of all candidates, each once, in the order in which they first occur."""
    return list(dict.fromkeys(row.metric for candidate in candidates for row in candidate.numbers))
