"""Comparison + Verdict -> OpenTelemetry: a trace of the cases and the numbers as gauges, in OTLP's JSON. Pure.

The ids of traces and spans are made of what they tell, so what is sent twice is the same span twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import isfinite
from typing import Any

from harness.digest import digest
from harness.records import Answer
from harness.showing.publish import Judged
from harness.statistics.delta import Delta
from harness.stores import Job, Kind, Letter, Side
from harness.telling.letters import chosen
from harness.telling.sharing import Telemetry, redacted
from harness.verdicts.outcome import EXIT_CODES
from harness.verdicts.pairing import CasePair
from suites.grading import Graded

SPANS_A_LETTER = 100
INTERNAL, CLIENT = 1, 3
FAILED = 2
"""Of a span's status."""


@dataclass(frozen=True)
class Traced:
    """One verdict as a collector is told of it."""

    options: Telemetry
    job: Job
    judged: Judged
    moment: float
    """When it was judged, in seconds since 1970."""

    @property
    def candidate(self) -> str:
        return self.judged.verdict.candidate

    @property
    def trace(self) -> str:
        return digest(self.job.id, self.candidate, "trace")[:32]

    def span(self, *what: str) -> str:
        return digest(self.job.id, self.candidate, "span", *what)[:16]

    @property
    def about(self) -> dict[str, object]:
        return {
            "secateur.plan": self.job.plan_name,
            "secateur.job": self.job.id,
            "secateur.candidate": self.candidate,
            "secateur.verdict": self.judged.verdict.decision,
            "secateur.severity": self.judged.verdict.severity,
        }


def telemetry(options: Telemetry, job: Job, judged: Judged) -> list[Letter]:
    """The gauges of a verdict, and the spans of its cases, a hundred a letter."""
    traced = Traced(options, job, judged, time.time())
    spans = list(_spans(traced, chosen(options, judged.comparison.cases)))
    parts = [spans[start : start + SPANS_A_LETTER] for start in range(0, len(spans), SPANS_A_LETTER)]
    gauges = _letter(traced, "metrics", "", {"resourceMetrics": [_scoped("scopeMetrics", "metrics", _gauges(traced))]})
    return [
        gauges,
        *(
            _letter(traced, "spans", str(number), {"resourceSpans": [_scoped("scopeSpans", "spans", part)]})
            for number, part in enumerate(parts)
        ),
    ]


def _letter(traced: Traced, kind: Kind, name: str, body: Mapping[str, object]) -> Letter:
    return Letter(
        id=digest(traced.job.id, traced.candidate, kind, name, "otlp")[:24],
        account=traced.options.endpoint_env,
        job=traced.job.id,
        run=traced.judged.after.id,
        case="",
        side="candidate",
        kind=kind,
        payload=json.dumps({"headers_env": traced.options.headers_env, "body": body}, ensure_ascii=False),
    )


def _scoped(outer: str, inner: str, what: Sequence[Mapping[str, object]]) -> dict[str, object]:
    service = {"service.name": "secateur", "service.version": version("secateur")}
    scope = {"name": "secateur", "version": version("secateur")}
    return {"resource": {"attributes": _attributes(service)}, outer: [{"scope": scope, inner: list(what)}]}


def _spans(traced: Traced, pairs: Sequence[CasePair]) -> Iterator[dict[str, object]]:
    """The comparison as the root, under it each case asked of both models."""
    if not pairs:
        return
    seconds = max((answer.seconds for pair in pairs for answer in (pair.before, pair.after) if answer), default=0.0)
    root = {"name": f"compare {traced.candidate}", "kind": INTERNAL, "spanId": traced.span()}
    yield root | _timed(traced, seconds) | {"attributes": _attributes(traced.about)}
    for pair in pairs:
        yield _asked(traced, pair, "original", pair.before, pair.before_graded)
        yield _asked(traced, pair, "candidate", pair.after, pair.after_graded)


def _asked(
    traced: Traced, pair: CasePair, side: Side, answer: Answer | None, graded: Graded | None
) -> dict[str, object]:
    """One case on one side, in the words of the conventions for generative models."""
    hide = traced.options.hidden(traced.options.headers_env)
    run = traced.judged.before if side == "original" else traced.judged.after
    text = answer.text if answer else None
    asked = [_message(turn["role"], redacted(turn["content"], hide)) for turn in pair.case.messages]
    replied = [] if text is None else [_message("assistant", redacted(text, hide))]
    attributes: dict[str, object] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "secateur",
        "gen_ai.request.model": run.model.name,
        "gen_ai.request.max_tokens": pair.case.max_new_tokens,
        "gen_ai.usage.input_tokens": answer.prompt_tokens if answer else 0,
        "gen_ai.usage.output_tokens": answer.new_tokens if answer else 0,
        "gen_ai.input.messages": json.dumps(asked, ensure_ascii=False),
        "gen_ai.output.messages": json.dumps(replied, ensure_ascii=False),
        "secateur.suite": pair.suite,
        "secateur.case": pair.case.id,
        "secateur.side": side,
        "secateur.kind": pair.kind,
        "secateur.run": run.id,
        "secateur.passed": graded is not None and graded.passed,
        "secateur.score": graded.score if graded else 0.0,
    }
    why = redacted((answer.error if answer else None) or "not answered", hide)
    return {
        "name": f"chat {run.model.name}",
        "kind": CLIENT,
        "spanId": traced.span(side, pair.suite, pair.case.id),
        "parentSpanId": traced.span(),
        **_timed(traced, answer.seconds if answer else 0.0),
        "attributes": _attributes(traced.about | attributes),
        "status": {"code": FAILED, "message": why} if text is None else {},
    }


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _timed(traced: Traced, seconds: float) -> dict[str, object]:
    start = _nanoseconds(traced.moment - seconds)
    return {"traceId": traced.trace, "startTimeUnixNano": start, "endTimeUnixNano": _nanoseconds(traced.moment)}


def _gauges(traced: Traced) -> list[dict[str, object]]:
    """Each metric on both sides and its drop; and the verdict as its exit code."""
    verdict = [_point(traced, EXIT_CODES[traced.judged.verdict.decision], {})]
    gauges = [_gauge("secateur.verdict", "1", verdict)]
    for delta in traced.judged.comparison.deltas.values():
        if points := _sides(traced, delta):
            gauges.append(_gauge(f"secateur.metric.{delta.metric}", delta.unit, points))
        if delta.drop is not None and isfinite(delta.drop):
            gauges.append(_gauge(f"secateur.drop.{delta.metric}", delta.unit, [_point(traced, delta.drop, {})]))
    return gauges


def _sides(traced: Traced, delta: Delta) -> list[dict[str, object]]:
    sides = {"original": delta.before, "candidate": delta.after}
    return [
        _point(traced, value, {"secateur.side": side})
        for side, value in sides.items()
        if value is not None and isfinite(value)
    ]


def _gauge(name: str, unit: str, points: Sequence[Mapping[str, object]]) -> dict[str, object]:
    return {"name": name, "unit": unit, "gauge": {"dataPoints": list(points)}}


def _point(traced: Traced, value: float, more: Mapping[str, object]) -> dict[str, object]:
    attributes = _attributes({**traced.about, **more})
    return {"timeUnixNano": _nanoseconds(traced.moment), "asDouble": value, "attributes": attributes}


def _nanoseconds(seconds: float) -> str:
    """OTLP's JSON writes 64-bit numbers as text."""
    return str(int(seconds * 1e9))


def _attributes(values: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: object) -> dict[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}
