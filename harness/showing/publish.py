"""Comparison + Verdict -> the page's own words. The only module that knows both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import yaml

from compress import Receipt
from harness.records import Answer, Run
from harness.showing import receipts
from harness.showing.outputs import flaky_lines
from harness.statistics.corrections import benjamini_hochberg
from harness.statistics.delta import Delta
from harness.statistics.paired import mcnemar, wilson
from harness.verdicts.compare import Comparison
from harness.verdicts.finding import Finding, limit_of
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import EXIT_CODES, rule, sentence, worst
from harness.verdicts.pairing import CasePair
from harness.verdicts.reasons import why_left_out
from reports.page import (
    AnswerRow,
    BesidePage,
    CandidatePage,
    CaseRow,
    CheckRow,
    Fact,
    GateRow,
    Kind,
    Message,
    MetricRow,
    ModelPage,
    Page,
    TagRow,
    TrendRow,
)
from suites import Graded

HEADLINE_KINDS = (".pass_rate", ".acc", "fidelity.perplexity_ratio", "size.bytes", "speed.decode")
WORSE_HIGHER = ("margin", "max", "max_ratio")
FALSE_MARKS = 0.05
"""Share of the tags marked as changed that may be false, on average."""


@dataclass(frozen=True)
class Judged:
    """One candidate with all that was concluded about it."""

    before: Run
    after: Run
    comparison: Comparison
    verdict: Verdict
    receipt: Receipt | None
    url: str | None = None
    """Where PromptLayer shows the candidate's cases."""
    trends: tuple[TrendRow, ...] = ()


@dataclass(frozen=True)
class Heading:
    """What the page says of the job itself."""

    plan: str
    created: str
    command: str
    provenance: tuple[Fact, ...]
    notes: tuple[str, ...] = ()
    noise: Mapping[str, str] = field(default_factory=dict)
    """Metric -> what differs when the original is asked twice."""


def page(heading: Heading, judged: Sequence[Judged]) -> Page:
    """The page of one job. judged: at least one candidate."""
    decision = worst([one.verdict.decision for one in judged])
    first = judged[0]
    return Page(
        title=f"{heading.plan}: {decision}",
        plan=heading.plan,
        created=heading.created,
        decision=decision,
        sentence=f"{sentence([one.verdict for one in judged])} Exit code {EXIT_CODES[decision]}.",
        command=heading.command,
        original=ModelPage("original", _model_facts(first.before)),
        candidates=tuple(_candidate(one, heading.noise) for one in judged),
        headline=tuple(name for name in first.comparison.deltas if name.endswith(HEADLINE_KINDS)),
        provenance=heading.provenance,
        notes=heading.notes,
    )


def _candidate(one: Judged, noise: Mapping[str, str]) -> CandidatePage:
    receipt = one.receipt
    return CandidatePage(
        name=one.verdict.candidate,
        decision=one.verdict.decision,
        reason=sentence([one.verdict]),
        gates=tuple(gate_row(finding) for finding in one.verdict.findings),
        numbers=_numbers(one.comparison, noise),
        beside=tuple(
            BesidePage(other.name, other.told, _numbers(other.comparison, {})) for other in one.verdict.beside
        ),
        trends=one.trends,
        tags=tuple(_tags(one.comparison.cases)),
        cases=tuple(_case(pair) for pair in one.comparison.cases),
        pattern=receipts.pattern(receipt) if receipt else (),
        ratios=receipts.ratios(receipt) if receipt else (),
        recipe=yaml.safe_dump(receipt.recipe.model_dump(mode="json"), sort_keys=False) if receipt else "",
        facts=(*_model_facts(one.after), *_link(one), *(receipts.facts(receipt) if receipt else ())),
        notes=tuple(_notes(one)),
    )


def gate_row(finding: Finding) -> GateRow:
    """A gate as pages show it."""
    gate, delta = finding.gate, finding.delta
    name, limit = limit_of(gate)
    return GateRow(
        metric=gate.metric,
        rule=rule(gate, delta.unit),
        decision=finding.decision,
        reason=finding.reason,
        unit=delta.unit,
        scale=delta.of,
        worse="higher" if name in WORSE_HIGHER else "lower",
        limit=limit,
        estimate=delta.estimate,
        low=delta.low,
        high=delta.high,
        unchanged={"drop": 0.0, "ratio": 1.0, "value": delta.before}[delta.of],
        before=delta.before,
        after=delta.after,
        where=f"tag {gate.where.tag}" if gate.where else "",
        severity=finding.severity,
        n=delta.n or None,
        method=delta.method,
        detectable=delta.detectable if delta.of == "drop" else None,
        items_needed=finding.items_needed,
    )


def _numbers(comparison: Comparison, noise: Mapping[str, str]) -> tuple[MetricRow, ...]:
    return tuple(metric_row(delta, noise.get(name, "")) for name, delta in comparison.deltas.items())


def metric_row(delta: Delta, noise: str) -> MetricRow:
    """A metric as pages show it. noise: what differs when the original is asked twice; empty: it was not."""
    is_drop = delta.of == "drop"
    low, high = (delta.low, delta.high) if is_drop else (None, None)
    change: Literal["better", "worse", "unclear"] = "unclear"
    if low is not None and high is not None and not low <= 0 <= high:
        change = _changed(low)
    table = delta.table if delta.clusters == delta.n else None
    flips = wilson(table.discordant, table.n, 0.05) if table else (None, None)
    return MetricRow(
        metric=delta.metric,
        unit=delta.unit,
        before=delta.before,
        after=delta.after,
        drop=delta.drop if is_drop else None,
        low=low,
        high=high,
        n=delta.n or None,
        change=change,
        flips=table.discordant / table.n if table else None,
        flips_low=flips[0],
        flips_high=flips[1],
        noise=noise,
    )


def _tags(cases: Sequence[CasePair]) -> list[TagRow]:
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
        rows.append(TagRow(suite, tag, before, after, len(both), _changed(losses - gains) if marked else "unclear"))
    return sorted(rows, key=lambda row: (row.suite, row.tag))


def _changed(drop: float) -> Literal["better", "worse"]:
    return "worse" if drop > 0 else "better"


def _case(pair: CasePair) -> CaseRow:
    kinds: dict[str, Kind] = {"loss": "loss", "gain": "gain", "churn": "churn", "unknown": "dropped"}
    return CaseRow(
        suite=pair.suite,
        id=pair.case.id,
        kind=kinds.get(pair.kind, "pass" if pair.after_graded.passed else "fail"),
        before=_answer(pair.before, pair.before_graded, pair.before_tries),
        after=_answer(pair.after, pair.after_graded, pair.after_tries),
        messages=tuple(Message(turn["role"], turn["content"]) for turn in pair.case.messages),
        tags=tuple(sorted(pair.case.tags)),
        description=pair.case.description or "",
        repeats=pair.case.tries,
        flaky=pair.flaky,
    )


def _answer(answer: Answer | None, graded: Graded | None, tries: Sequence[Graded]) -> AnswerRow:
    checks = tuple(CheckRow(c.type, c.passed, c.reason, c.checked, c.score) for c in graded.checks) if graded else ()
    if answer is None:
        return AnswerRow(None, checks, "not asked")
    return AnswerRow(
        answer.text,
        checks,
        answer.error or "",
        graded.score if graded else None,
        passes=sum(each.passed for each in tries) if len(tries) > 1 else None,
    )


def _model_facts(run: Run) -> tuple[Fact, ...]:
    known = {
        "source": run.model.source,
        "revision": run.model.revision,
        "adapter": run.model.adapter,
        "dtype": run.model.dtype,
        "fingerprint": run.fingerprint[:16],
        "run": run.id,
        **run.facts,
    }
    return tuple(Fact(name, value) for name, value in known.items() if value)


def _link(one: Judged) -> tuple[Fact, ...]:
    return (Fact("PromptLayer", "the cases sent, as a table", one.url),) if one.url else ()


def _notes(one: Judged) -> list[str]:
    """What a reader must know before believing a number."""
    notes = [*one.comparison.notes, *(receipts.notes(one.receipt) if one.receipt else ())]
    notes += [f"{name}: {why}" for name, why in one.after.facts.items() if name.endswith("not measured")]
    notes += flaky_lines(one.verdict)
    for delta in one.comparison.deltas.values():
        if delta.metric.endswith(".score"):
            continue
        if delta.dropped:
            notes.append(f"{delta.metric}: {delta.dropped} items left out, {why_left_out('the original')}")
        if delta.unanswered:
            notes.append(f"{delta.metric}: {delta.unanswered} items not answered by the candidate, counted as failed")
    return notes
