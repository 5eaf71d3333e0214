"""Comparison + Verdict -> the page's own words. The only module that knows both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml

from compress import Receipt
from harness.noise import Floor
from harness.records import SIMULATED, SPARSE, Answer, AnswerDivergence, Divergence, Run
from harness.showing import highlights, overview, receipts
from harness.showing.numbers import gate_row, metric_row, tag_rows
from harness.showing.outputs import flaky_lines
from harness.verdicts.compare import Comparison
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import deciders, sentence, worst
from harness.verdicts.pairing import CasePair
from harness.verdicts.reasons import why_left_out
from reports.cases import AnswerRow, CaseRow, CheckRow, Kind, Message, TokenRow
from reports.fidelity import DivergenceRow, PassageRow, Percentile
from reports.page import BesidePage, CandidatePage, Fact, MetricRow, ModelPage, Page, TrendRow
from suites import Graded

HEADLINE_KINDS = (".pass_rate", ".acc", "fidelity.perplexity_ratio", "size.bytes", "speed.decode")


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
    noise: Mapping[str, Floor] = field(default_factory=dict)
    """Metric -> what differs when the original is asked twice."""
    plan_text: str = ""
    """The plan as YAML."""


def page(heading: Heading, judged: Sequence[Judged]) -> Page:
    """The page of one job. judged: at least one candidate."""
    first, verdicts = judged[0], [one.verdict for one in judged]
    deciding = {verdict.candidate: verdict.decision for verdict in deciders(verdicts)}
    tags = [tag_rows(one.comparison.cases) for one in judged]
    notable = [
        highlights.notable(one.verdict, one.comparison.deltas, rows) for one, rows in zip(judged, tags, strict=True)
    ]
    candidates = tuple(
        replace(_candidate(one, heading.noise), tags=rows, highlights=highlights.chosen(found))
        for one, rows, found in zip(judged, tags, notable, strict=True)
    )
    headline = tuple(name for name in first.comparison.deltas if name.endswith(HEADLINE_KINDS))
    recipes = {one.verdict.candidate: one.receipt.recipe for one in judged if one.receipt}
    return Page(
        title=overview.in_words(verdicts),
        plan=heading.plan,
        created=heading.created,
        decision=worst(list(deciding.values())),
        sentence=overview.reason(verdicts),
        command=heading.command,
        original=ModelPage("original", _model_facts(first.before)),
        candidates=candidates,
        headline=headline,
        provenance=heading.provenance,
        notes=heading.notes,
        highlights=highlights.chosen(
            one
            for row, found in zip(judged, notable, strict=True)
            if row.verdict.candidate in deciding
            for one in found
        ),
        tradeoffs=overview.tradeoffs(candidates),
        spreads=overview.spreads(candidates, recipes, headline),
        plan_text=heading.plan_text,
    )


def _candidate(one: Judged, noise: Mapping[str, Floor]) -> CandidatePage:
    """All but what is chosen among its rows: tags and highlights."""
    receipt = one.receipt
    return CandidatePage(
        name=one.verdict.candidate,
        decision=one.verdict.decision,
        severity=one.verdict.severity,
        reason=sentence([one.verdict]),
        gates=tuple(gate_row(finding, noise.get(finding.gate.metric)) for finding in one.verdict.findings),
        numbers=_numbers(one.comparison, noise),
        beside=tuple(
            BesidePage(other.name, other.told, _numbers(other.comparison, {})) for other in one.verdict.beside
        ),
        trends=one.trends,
        cases=tuple(_case(pair) for pair in one.comparison.cases),
        pattern=receipts.pattern(receipt) if receipt else (),
        ratios=receipts.ratios(receipt) if receipt else (),
        recipe=yaml.safe_dump(receipt.recipe.model_dump(mode="json"), sort_keys=False) if receipt else "",
        recovery=receipts.recovery(receipt) if receipt else None,
        divergences=tuple(_divergence(divergence) for divergence in one.after.divergences),
        facts=(*_model_facts(one.after), *_link(one), *(receipts.facts(receipt) if receipt else ())),
        notes=tuple(_notes(one)),
    )


def _divergence(found: Divergence) -> DivergenceRow:
    passages = (
        PassageRow("document {}, window {}".format(*one.window.split("/")), one.mean, one.texts, one.kl)
        for one in found.passages
    )
    percentiles = tuple(Percentile(share, value) for share, value in found.percentiles)
    return DivergenceRow(found.label, found.edges, found.counts, percentiles, tuple(passages))


def _numbers(comparison: Comparison, noise: Mapping[str, Floor]) -> tuple[MetricRow, ...]:
    return tuple(metric_row(delta, noise.get(name)) for name, delta in comparison.deltas.items())


def _case(pair: CasePair) -> CaseRow:
    kinds: dict[str, Kind] = {"loss": "loss", "gain": "gain", "churn": "churn", "unknown": "dropped"}
    return CaseRow(
        suite=pair.suite,
        id=pair.case.id,
        kind=kinds.get(pair.kind, "pass" if pair.after_graded.passed else "fail"),
        before=_answer(pair.before, pair.before_graded, pair.before_tries, pair.spoken),
        after=_answer(pair.after, pair.after_graded, pair.after_tries),
        messages=tuple(Message(turn["role"], turn["content"]) for turn in pair.case.messages),
        tags=tuple(sorted(pair.case.tags)),
        description=pair.case.description or "",
        repeats=pair.case.tries,
        flaky=pair.flaky,
    )


def _answer(
    answer: Answer | None, graded: Graded | None, tries: Sequence[Graded], spoken: AnswerDivergence | None = None
) -> AnswerRow:
    """spoken: how far the other model is from this one at each token of the answer."""
    checks = tuple(CheckRow(c.type, c.passed, c.reason, c.checked, c.score) for c in graded.checks) if graded else ()
    if answer is None:
        return AnswerRow(None, checks, "not asked")
    return AnswerRow(
        answer.text,
        checks,
        answer.error or "",
        graded.score if graded else None,
        tokens=tuple(map(TokenRow, spoken.texts, spoken.kl)) if spoken else (),
        passes=sum(each.passed for each in tries) if len(tries) > 1 else None,
    )


def _model_facts(run: Run) -> tuple[Fact, ...]:
    known = {
        "source": run.model.source,
        "revision": run.model.revision,
        "adapter": run.model.adapter,
        "dtype": run.model.dtype,
        "fingerprint": run.fingerprint,
        "run": run.id,
        **run.facts,
    }
    return tuple(Fact(name, value) for name, value in known.items() if value)


def _link(one: Judged) -> tuple[Fact, ...]:
    return (Fact("PromptLayer", "the cases sent, as a table", one.url),) if one.url else ()


def _notes(one: Judged) -> list[str]:
    """What a reader must know before believing a number."""
    fast = any(name.endswith(f": {SPARSE}") for name in one.after.facts)
    made = receipts.notes(one.receipt) if one.receipt else []
    notes = [*one.comparison.notes, *(note for note in made if not (fast and note.startswith(SIMULATED)))]
    notes += flaky_lines(one.verdict)
    for delta in one.comparison.deltas.values():
        if delta.metric.endswith(".score"):
            continue
        if delta.dropped:
            notes.append(f"{delta.metric}: {delta.dropped} items left out, {why_left_out('the original')}")
        if delta.unanswered:
            notes.append(f"{delta.metric}: {delta.unanswered} items not answered by the candidate, counted as failed")
    return notes
