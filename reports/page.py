"""Page: everything a template may show, as plain frozen values.

A number that was not measured is None (NaN is read the same way) and is shown as missing, never as zero.
Strings may be hostile: they are shown as text whatever they hold. Nothing here is HTML.
Every drop is in the metric's own direction: positive is worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports.cases import CaseRow
from reports.compression import LayerRow, RatioRow, RecoveryRow
from reports.fidelity import DivergenceRow
from reports.overview import Highlight, SpreadRow, Tradeoff

Decision = Literal["PASS", "REGRESSION", "INCONCLUSIVE"]

Part = Literal["quality", "fidelity", "resources"]
"""quality: suites and benchmarks. fidelity: predictions on a text. resources: size, memory, speed, energy, cost."""


@dataclass(frozen=True)
class Fact:
    """A name and its value, shown as a row."""

    name: str
    value: str
    url: str = ""
    """Where the value leads; only a plain web address becomes a link."""


@dataclass(frozen=True)
class ModelPage:
    """What is known of one model: source, fingerprint, dtype, versions, machine."""

    name: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class GateRow:
    """One gate and what was found.

    `estimate`, `low`, `high`, `limit` and `unchanged` share one scale, named by `scale`:
    "drop": in the metric's unit, positive is worse, `unchanged` is 0 (gate form `margin`);
    "value": the candidate's own value, `unchanged` the original's if it has one (`max`, `min`);
    "ratio": candidate over original, `unchanged` is 1 (`max_ratio`, `min_ratio`).
    """

    metric: str
    rule: str
    """The gate in words, for example "may drop by at most 5.0 points"."""
    decision: Decision
    reason: str
    """One sentence with the numbers that decided."""
    unit: str
    """Unit of the metric; "share" (0 to 1) is shown in percent and its drops in points."""
    scale: Literal["drop", "value", "ratio"]
    worse: Literal["higher", "lower"]
    """The side of `limit` on which the gate is broken: "higher" for margin, max, max_ratio."""
    limit: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    unchanged: float | None = None
    before: float | None = None
    after: float | None = None
    where: str = ""
    """The items looked at and what they are held against, such as "tag critical"; empty: all, and the original."""
    severity: Literal["block", "warn"] = "block"
    n: int | None = None
    method: str = ""
    detectable: float | None = None
    """Smallest drop this gate would have found with these items; the metric's unit."""
    items_needed: int | None = None
    """Items that would settle an INCONCLUSIVE gate."""
    noise: float | None = None
    """How far asking the original twice moves a drop, in the metric's unit; None: not measured, or no drop."""


@dataclass(frozen=True)
class MetricRow:
    """One metric of both models. A drop and its bounds are positive when worse."""

    metric: str
    unit: str
    before: float | None = None
    after: float | None = None
    drop: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    change: Literal["better", "worse", "unclear"] = "unclear"
    """"better" or "worse" only where the interval excludes no change."""
    flips: float | None = None
    """Share of the items that pass on one side only, with its 90 % interval; None: not yes-or-no, or in clusters."""
    flips_low: float | None = None
    flips_high: float | None = None
    noise: str = ""
    """What differs when the original is asked twice; empty: it was not."""
    part: Part = "quality"
    of: Literal["drop", "value", "ratio"] = "drop"
    """What `low` and `high`, the 90 % interval, are of: the drop, or what the candidate alone has."""


@dataclass(frozen=True)
class TagRow:
    """Pass rates (0 to 1) of the cases with one tag."""

    suite: str
    tag: str
    before: float
    after: float
    n: int
    change: Literal["better", "worse", "unclear"] = "unclear"
    """"better" or "worse" only where chance is an unlikely reason, all tags of the candidate considered."""


@dataclass(frozen=True)
class TrendRow:
    """The history of one metric, one value a job, oldest first; never empty."""

    metric: str
    unit: str
    values: tuple[float, ...]
    since: str
    """Date of the first."""
    baseline: float | None = None
    """The value that was blessed."""
    name: str = ""
    """Of the baseline."""
    notes: tuple[str, ...] = ()
    """What is unusual, in sentences."""


@dataclass(frozen=True)
class BesidePage:
    """The numbers of a stored result, as `before`, and of the candidate."""

    name: str
    note: str
    """Which run it is, and what is left out."""
    numbers: tuple[MetricRow, ...]


@dataclass(frozen=True)
class CandidatePage:
    """One candidate against the original. Rows may come in any order: cases are sorted, losses first."""

    name: str
    decision: Decision
    reason: str
    """Why, in one sentence."""
    severity: Literal["block", "warn"] = "block"
    """warn: no part of the page's decision."""
    highlights: tuple[Highlight, ...] = ()
    """The worst things, worst first, then the best."""
    gates: tuple[GateRow, ...] = ()
    numbers: tuple[MetricRow, ...] = ()
    beside: tuple[BesidePage, ...] = ()
    trends: tuple[TrendRow, ...] = ()
    tags: tuple[TagRow, ...] = ()
    cases: tuple[CaseRow, ...] = ()
    pattern: tuple[LayerRow, ...] = ()
    """Empty for a model that was not pruned here."""
    ratios: tuple[RatioRow, ...] = ()
    recipe: str = ""
    """The recipe's YAML."""
    recovery: RecoveryRow | None = None
    """None: nothing was recovered."""
    divergences: tuple[DivergenceRow, ...] = ()
    """One a corpus of the plan's fidelity; empty: not measured, or measured before they were kept."""
    facts: tuple[Fact, ...] = ()
    """Source, fingerprint, calibration, seconds by stage."""
    notes: tuple[str, ...] = ()
    """What a reader must know: dropped splits, missing answers, anything simulated."""


@dataclass(frozen=True)
class Page:
    """One run of one plan."""

    title: str
    """The verdict in words."""
    plan: str
    """The plan's name."""
    created: str
    """Date and time with zone, as shown."""
    decision: Decision
    """Worst over the candidates."""
    sentence: str
    """The whole result in one sentence, with the exit code."""
    command: str
    """What to type to get this again."""
    original: ModelPage
    candidates: tuple[CandidatePage, ...]
    headline: tuple[str, ...] = ()
    """Metrics to show for every candidate side by side, by the names used in `numbers`."""
    highlights: tuple[Highlight, ...] = ()
    """Of all candidates: the worst things, worst first, then the best."""
    tradeoffs: tuple[Tradeoff, ...] = ()
    spreads: tuple[SpreadRow, ...] = ()
    plan_text: str = ""
    """The plan as YAML."""
    provenance: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
