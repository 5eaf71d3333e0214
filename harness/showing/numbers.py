"""Findings, deltas and tags -> the rows of the page's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness import metrics
from harness.noise import Floor
from harness.statistics.corrections import benjamini_hochberg
from harness.statistics.delta import Delta
from harness.statistics.paired import mcnemar, wilson
from harness.verdicts.finding import Finding, limit_of
from harness.verdicts.outcome import rule
from harness.verdicts.pairing import CasePair
from reports.page import GateRow, MetricRow, Part, TagRow

WORSE_HIGHER = ("margin", "max", "max_ratio")
FALSE_MARKS = 0.05
"""Share of the tags marked as changed that may be false, on average."""


def gate_row(finding: Finding, floor: Floor | None = None) -> GateRow:
    """A gate as pages show it. floor: what differs when the original is asked twice; None: it was not."""
    gate, delta = finding.gate, finding.delta
    name, limit = limit_of(gate)
    return GateRow(
        metric=gate.metric,
        rule=rule(gate, delta.unit),
        decision=finding.decision,
        reason=finding.reason,
        unit=unit_of(delta),
        scale=delta.of,
        worse="higher" if name in WORSE_HIGHER else "lower",
        limit=limit,
        estimate=delta.estimate,
        low=delta.low,
        high=delta.high,
        unchanged={"drop": 0.0, "ratio": 1.0, "value": delta.before}[delta.of],
        before=delta.before,
        after=delta.after,
        where=gate.scope,
        severity=finding.severity,
        n=delta.n or None,
        method=delta.method,
        detectable=delta.detectable if delta.of == "drop" else None,
        items_needed=finding.items_needed,
        noise=floor.shift if floor and delta.of == "drop" and not gate.scope else None,
    )


def metric_row(delta: Delta, floor: Floor | None = None) -> MetricRow:
    """A metric as pages show it. floor: as of `gate_row`."""
    change: Literal["better", "worse", "unclear"] = "unclear"
    if delta.of == "drop" and delta.low is not None and delta.high is not None and not delta.low <= 0 <= delta.high:
        change = changed(delta.low)
    table = delta.table if delta.clusters == delta.n else None
    flips = wilson(table.discordant, table.n, 0.05) if table else (None, None)
    return MetricRow(
        metric=delta.metric,
        unit=unit_of(delta),
        before=delta.before,
        after=delta.after,
        drop=delta.drop if delta.of == "drop" else None,
        low=delta.low,
        high=delta.high,
        of=delta.of,
        n=delta.n or None,
        change=change,
        flips=table.discordant / table.n if table else None,
        flips_low=flips[0],
        flips_high=flips[1],
        noise=floor.said if floor else "",
        part=part_of(delta.metric),
    )


def unit_of(delta: Delta) -> str:
    """As pages show it: empty where the metric's name says it, as that of word_perplexity; but bytes become MB."""
    return "" if delta.unit != "bytes" and delta.metric.endswith(f".{delta.unit}") else delta.unit


def part_of(metric: str) -> Part:
    """Where on the page a metric belongs."""
    first = metric.partition(".")[0]
    if first == "fidelity":
        return "fidelity"
    return "resources" if first in metrics.names() else "quality"


def tag_rows(cases: Sequence[CasePair]) -> tuple[TagRow, ...]:
    """Pass rates by suite and tag, over the cases that count."""
    groups: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
    for pair in cases:
        if pair.before_graded is None or not pair.counts:
            continue
        for tag in sorted(pair.case.tags):
            groups.setdefault((pair.suite, tag), []).append((pair.before_graded.passed, pair.after_graded.passed))
    flips = [(both.count((True, False)), both.count((False, True))) for both in groups.values()]
    notable = benjamini_hochberg(np.array([mcnemar(*counts) for counts in flips]), FALSE_MARKS)
    rows = []
    for ((suite, tag), both), (losses, gains), marked in zip(groups.items(), flips, notable, strict=True):
        before, after = (sum(side) / len(both) for side in zip(*both, strict=True))
        rows.append(TagRow(suite, tag, before, after, len(both), changed(losses - gains) if marked else "unclear"))
    return tuple(sorted(rows, key=lambda row: (row.suite, row.tag)))


def changed(drop: float) -> Literal["better", "worse"]:
    """The word for a drop that is one."""
    return "worse" if drop > 0 else "better"
