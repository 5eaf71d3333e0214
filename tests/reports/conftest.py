"""An example page with every part in it; all of its numbers are made up."""

from __future__ import annotations

from typing import Literal

import pytest

from reports.cases import AnswerRow, CaseRow, CheckRow, Kind, Message
from reports.compression import AdapterRow, LayerRow, LossPoint, RatioRow, RecoveryRow
from reports.fidelity import DivergenceRow, PassageRow, Percentile
from reports.overview import Highlight, SpreadRow, Tradeoff, TradePoint
from reports.page import CandidatePage, Decision, Fact, GateRow, MetricRow, ModelPage, Page, TagRow, TrendRow


@pytest.fixture
def example() -> Page:
    return example_page()


def example_page() -> Page:
    """Three candidates: one that passes, one nobody can tell, one that is broken."""
    return Page(
        title="Is the smaller support bot still good enough?",
        plan="support-bot",
        created="2026-11-24 18:20 UTC",
        decision="REGRESSION",
        sentence="1 of 3 candidates got worse than its gates allow: cfsp-50. Exit code 1.",
        command="secateur run plan.yaml --out out/support-bot",
        original=ModelPage("original", (Fact("source", "smollm2-135m"), Fact("dtype", "float32"))),
        candidates=(passing(), unclear(), broken()),
        headline=("smoke.pass_rate", "fidelity.perplexity_ratio", "size.bytes", "speed.decode"),
        provenance=(Fact("secateur", "0.1.0"), Fact("torch", "2.13.0"), Fact("machine", "2 cores, 8 GB")),
        notes=("Data of arc_easy came from a local folder.",),
        highlights=highlights(),
        tradeoffs=(tradeoff(),),
        spreads=(SpreadRow(("cfsp-10", "cfsp-50"), "smoke.pass_rate", "share", (0.673, 0.291)),),
        plan_text="name: support-bot\noriginal: smollm2-135m\n",
    )


def highlights() -> tuple[Highlight, ...]:
    return (
        Highlight(
            "worse", "cfsp-50", "smoke.pass_rate", "share", 0.703, 0.291, "gate: may get worse by less than 5 points"
        ),
        Highlight("worse", "cfsp-50", "smoke, tag facts", "share", 0.81, 0.31, "32 cases"),
        Highlight("better", "cfsp-50", "speed.decode", "tokens/s", 40.1, 58.9, low=17.2, high=20.4),
    )


def tradeoff() -> Tradeoff:
    points = (
        TradePoint("original", 1.0, 0.703),
        TradePoint("v2", 0.996, 0.698, 0.668, 0.728),
        TradePoint("cfsp-10", 0.933, 0.673, 0.643, 0.703),
        TradePoint("cfsp-50", 0.662, 0.291, 0.231, 0.351),
    )
    return Tradeoff("smoke.pass_rate", "share", "size.bytes", "ratio", "lower", points)


def passing() -> CandidatePage:
    return CandidatePage(
        name="v2",
        decision="PASS",
        reason="All 3 gates pass; the pass rate drops by at most 1.9 points, 5.0 are allowed.",
        gates=(
            pass_rate_gate("PASS", 0.005, -0.009, 0.019),
            GateRow(
                metric="fidelity.perplexity_ratio",
                rule="may be at most 1.10",
                decision="PASS",
                reason="At most 1.05 with 95 % confidence.",
                unit="ratio",
                scale="value",
                worse="higher",
                limit=1.10,
                estimate=1.031,
                low=1.012,
                high=1.050,
                unchanged=1.0,
                after=1.031,
                n=40,
                method="clustered by window",
            ),
            GateRow(
                metric="smoke.losses",
                rule="at most 0",
                decision="PASS",
                reason="No critical case was lost.",
                unit="count",
                scale="value",
                worse="higher",
                limit=0,
                estimate=0,
                after=0,
                where="tag critical",
                n=12,
                method="counted",
            ),
        ),
        numbers=numbers(0.698, 1.031, 268_000_000, 41.3),
        trends=(
            TrendRow(
                metric="smoke.pass_rate",
                unit="share",
                values=(0.703, 0.703, 0.699, 0.706, 0.701, 0.699, 0.698),
                since="2026-11-20",
                baseline=0.703,
                name="prod",
                notes=("2026-11-22 worse: the level went from 70.3 % to 69.9 %",),
            ),
        ),
    )


def unclear() -> CandidatePage:
    return CandidatePage(
        name="cfsp-10",
        decision="INCONCLUSIVE",
        reason="The pass rate may have dropped by as much as 6.1 points, 5.0 are allowed; 310 cases would settle it.",
        gates=(
            pass_rate_gate("INCONCLUSIVE", 0.030, -0.001, 0.061),
            GateRow(
                metric="speed.decode",
                rule="at least 1.05 times the original",
                decision="INCONCLUSIVE",
                reason="Between 1.02 and 1.11 times as fast.",
                unit="tokens/s",
                scale="ratio",
                worse="lower",
                limit=1.05,
                estimate=1.065,
                low=1.02,
                high=1.11,
                unchanged=1.0,
                before=40.1,
                after=42.7,
                n=12,
                method="paired log ratios",
                severity="warn",
            ),
        ),
        numbers=numbers(0.673, 1.18, 251_000_000, 42.7),
        cases=cases(losses=3, unchanged=8),
        tags=(TagRow("smoke", "arithmetic", 0.42, 0.33, 24), TagRow("smoke", "facts", 0.81, 0.81, 32)),
        pattern=layers(0.87),
    )


def broken() -> CandidatePage:
    return CandidatePage(
        name="cfsp-50",
        decision="REGRESSION",
        reason="The pass rate drops by at least 35.2 points, 5.0 are allowed.",
        gates=(
            pass_rate_gate("REGRESSION", 0.412, 0.352, 0.472),
            GateRow(
                metric="arc_easy.acc",
                rule="may drop by at most 3.0 points",
                decision="REGRESSION",
                reason="The candidate gave no number.",
                unit="share",
                scale="drop",
                worse="higher",
                limit=0.03,
                unchanged=0.0,
                before=0.58,
            ),
        ),
        numbers=numbers(0.291, 9.42, 178_000_000, 58.9),
        tags=(
            TagRow("smoke", "arithmetic", 0.42, 0.08, 24),
            TagRow("smoke", "facts", 0.81, 0.31, 32),
            TagRow("smoke", "refusal", 0.30, 0.45, 20),
        ),
        cases=cases(losses=9, unchanged=30),
        pattern=layers(0.42),
        ratios=(
            RatioRow("r_total", "all parameters, tied weights counted once", 0.338),
            RatioRow("r_block", "weights of the decoder layers' Linears", 0.5),
            RatioRow("r_ffn", "FFN channels", 0.667),
            RatioRow("r_group", "kv groups", 0.0),
            RatioRow("r_zero", "zeroed weights", None),
        ),
        recipe="method: cfsp\nsparsity: 0.5\noptions:\n  score: paper\n",
        recovery=recovery(),
        divergences=(divergence(),),
        highlights=highlights(),
        facts=(Fact("fingerprint", "sha256:5f1d" + 12 * "0a9c"), Fact("calibration", "4,096 tokens, built in")),
        notes=("2 cases were not answered and count as failed.",),
    )


def pass_rate_gate(decision: Decision, drop: float, low: float, high: float) -> GateRow:
    return GateRow(
        metric="smoke.pass_rate",
        rule="may drop by at most 5.0 points",
        decision=decision,
        reason=f"It drops by between {100 * low:.1f} and {100 * high:.1f} points.",
        unit="share",
        scale="drop",
        worse="higher",
        limit=0.05,
        estimate=drop,
        low=low,
        high=high,
        unchanged=0.0,
        before=0.703,
        after=0.703 - drop,
        n=203,
        method="Tango, exact",
        detectable=0.042,
        noise=0.008,
        items_needed=310 if decision == "INCONCLUSIVE" else None,
    )


def numbers(rate: float, perplexity: float, size: int, speed: float) -> tuple[MetricRow, ...]:
    drop = 0.703 - rate
    change: Literal["worse", "unclear"] = "worse" if drop > 0.04 else "unclear"
    return (
        MetricRow("smoke.pass_rate", "share", 0.703, rate, drop, drop - 0.03, drop + 0.03, 203, change),
        MetricRow("fidelity.perplexity_ratio", "ratio", None, perplexity, n=40, part="fidelity", of="value"),
        MetricRow("fidelity.kl", "nats", None, 0.0613, None, 0.05, 0.07, 40, part="fidelity", of="value"),
        MetricRow("size.bytes", "bytes", 269_060_352, size, size - 269_060_352, change="better", part="resources"),
        MetricRow("speed.decode", "tokens/s", 40.1, speed, 40.1 - speed, n=12, change="better", part="resources"),
    )


def cases(losses: int, unchanged: int) -> tuple[CaseRow, ...]:
    same = tuple(case(f"same-{at}", "pass", "Paris.", "Paris.") for at in range(unchanged))
    lost = tuple(
        case(f"loss-{at}", "loss", "The capital of France is Paris.", "The capital of France is the city of Lyon.")
        for at in range(losses)
    )
    won = (case("gain-0", "gain", "I don't know", "Paris"), case("churn-0", "churn", "Rome", "Rome Rome Rome Rome"))
    silent = CaseRow(
        suite="smoke",
        id="silent",
        kind="loss",
        before=AnswerRow("Paris"),
        after=AnswerRow(None, error="longer than the model's context of 2048 tokens"),
        messages=(Message("user", "Name the capital of France."),),
    )
    return same + won + lost + (silent,)


def case(name: str, kind: Kind, before: str, after: str) -> CaseRow:
    return CaseRow(
        suite="smoke",
        id=name,
        kind=kind,
        before=answer(before),
        after=answer(after),
        messages=(Message("system", "Answer in one sentence."), Message("user", "What is the capital of France?")),
        tags=("facts", "easy"),
        description=f"Capital of France, asked plainly ({name})",
    )


def answer(text: str) -> AnswerRow:
    right = "Paris" in text
    reason = 'found "Paris"' if right else f'"Paris" is not in "{text}"'
    return AnswerRow(text, (CheckRow("icontains", right, reason),))


def recovery() -> RecoveryRow:
    points = tuple(LossPoint(8192 * step, 2.9 / (step + 1) if step else None, 2.1 - 0.3 * step) for step in range(4))
    return RecoveryRow("lora", 2.1, 1.2, points)


def divergence() -> DivergenceRow:
    texts = ("The", " river", " bent", " tw", "ice", ".")
    return DivergenceRow(
        corpus="",
        edges=(0.0, 0.1, 0.2, 0.4, 0.8),
        counts=(900, 400, 120, 30, 4),
        percentiles=(Percentile(0.5, 0.08), Percentile(0.99, 0.9)),
        passages=(PassageRow("document 3, window 0", 0.71, texts, (0.01, 0.3, 1.4, 0.0, 2.2, 0.06)),),
    )


def layers(share: float) -> tuple[LayerRow, ...]:
    """30 layers, the middle ones cut most."""
    kept = [share + (1 - share) * abs(at - 14.5) / 14.5 * 0.9 for at in range(30)]
    return tuple(
        LayerRow(
            at,
            round(1536 * keep),
            1536,
            3 if at % 4 else 2,
            3,
            sparsity=1 - keep,
            adapters=AdapterRow(8, 0.021, 6.4, 0.0123) if at else None,
            scores=tuple(0.01 * (at + 1) * 1.6**step for step in range(11)) if at else (),
        )
        for at, keep in enumerate(kept)
    )
