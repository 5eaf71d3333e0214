"""Telemetry to an OTLP receiver: what arrives is read by the protocol's own schema, and is there once by its ids."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.stores import Asked, VerdictRow
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.outbox import Outbox
from harness.telling.collector import collecting
from harness.telling.outbox import Drained, Limits, NotSentError, Pace, drain
from harness.telling.sharing import Telemetry
from harness.telling.telemetry import telemetry
from tests.harness.test_outbox import judged, states

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
QUICK = Pace(0.3, 0.3, 1.5, settle_seconds=0.05, first_wait_seconds=0.02, longest_wait_seconds=0.2)
Answer = tuple[int, dict[str, str], dict[str, Any] | None]
FINE: Answer = (200, {}, {})
DROP: Answer = (0, {}, None)


@dataclass
class Receiver:
    """Spans and points by what tells them apart. `answers`: for the first calls; what is not 2xx is not kept."""

    answers: list[Answer] = field(default_factory=list)
    spans: dict[bytes, Any] = field(default_factory=dict)
    points: dict[tuple[str, str], float] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)

    def take(self, path: str, body: dict[str, Any]) -> None:
        if path == "/v1/traces":
            _ids_as_protobuf_wants_(body)
            request = Parse(json.dumps(body), ExportTraceServiceRequest())
            self.spans |= {span.span_id: span for span in request.resource_spans[0].scope_spans[0].spans}
        else:
            assert path == "/v1/metrics"
            request = Parse(json.dumps(body), ExportMetricsServiceRequest())
            for metric in request.resource_metrics[0].scope_metrics[0].metrics:
                for point in metric.gauge.data_points:
                    self.points[metric.name, said(point, "secateur.side")] = point.as_double


def _ids_as_protobuf_wants_(body: dict[str, Any]) -> None:
    """OTLP's JSON has ids in hex, protobuf's has bytes in base64: the one known difference."""
    for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in {"traceId", "spanId", "parentSpanId"} & span.keys():
            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()


def said(part: Any, key: str) -> str:
    return next((one.value.string_value for one in part.attributes if one.key == key), "")


@contextmanager
def receiving(receiver: Receiver) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.headers.append(dict(self.headers))
            status, headers, answer = receiver.answers.pop(0) if receiver.answers else FINE
            if status in (0, 200):
                receiver.take(self.path, body)
            if answer is None:
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture
def store(tmp_path: Path) -> DuckdbStore:
    """With a verdict on two cases, a loss and a gain."""
    store = DuckdbStore(tmp_path / "secateur.duckdb")
    job = store.begin_job(Asked("p", "{}", "d"))
    told = telemetry(Telemetry(redact=[r"\d{4,}"]), job, judged(tmp_path, 2))
    store.save_verdict(VerdictRow(job.id, "small", "REGRESSION", "because", "b", "a", "[]"), told)
    return store


def drained(store: DuckdbStore, endpoint: str) -> Drained:
    with collecting(endpoint, QUICK, 100) as collector:
        return drain(Outbox(store.file), ENDPOINT, collector, Limits(100, 20.0, QUICK))


def test_what_a_collector_is_told(store: DuckdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HEADERS, "authorization=Bearer%20s3cret, x-team=a")
    receiver = Receiver()
    with receiving(receiver) as endpoint:
        assert drained(store, endpoint + "/").waiting == 0
    root, *cases = sorted(receiver.spans.values(), key=lambda span: bool(span.parent_span_id))
    assert len(cases) == 4
    assert {span.trace_id for span in cases} == {root.trace_id}
    assert {span.parent_span_id for span in cases} == {root.span_id}
    assert (root.name, said(root, "secateur.verdict")) == ("compare small", "REGRESSION")
    lost = next(s for s in cases if said(s, "secateur.kind") == "loss" and said(s, "secateur.side") == "candidate")
    assert (lost.name, said(lost, "secateur.case")) == ("chat small", "c0")
    assert lost.end_time_unix_nano - lost.start_time_unix_nano == pytest.approx(0.25e9, abs=1e3)
    assert json.loads(said(lost, "gen_ai.input.messages"))[0]["parts"][0]["content"] == "Pay card [redacted]?"
    assert receiver.points["secateur.verdict", ""] == 1
    assert receiver.points["secateur.metric.flips.pass_rate", "original"] == 0.5
    assert receiver.points["secateur.drop.flips.pass_rate", ""] == 0
    assert all(headers["authorization"] == "Bearer s3cret" for headers in receiver.headers)


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (DROP, True),
        ((400, {}, {}), False),
        pytest.param((503, {"Retry-After": "0"}, {}), True, marks=pytest.mark.slow),
        pytest.param((429, {}, {}), True, marks=pytest.mark.slow),
    ],
)
def test_what_a_collector_answers(store: DuckdbStore, answer: Answer, again: bool) -> None:
    receiver = Receiver([answer, answer])
    with receiving(receiver) as endpoint:
        drained(store, endpoint)
    assert states(store) == ({"sent": 2} if again else {"dead": 2})
    assert (len(receiver.spans), len(receiver.points)) == ((5, 9) if again else (0, 0))


def test_what_a_collector_did_not_take_is_said(store: DuckdbStore) -> None:
    partial: Answer = (200, {}, {"partialSuccess": {"rejectedSpans": "3"}})
    with receiving(Receiver([partial, partial])) as endpoint:
        assert drained(store, endpoint).refused == 2
    assert {why for _, _, why in Outbox(store.file).refused()} == {"3 of them were not taken"}


def test_headers_travel_only_where_they_are_safe(store: DuckdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HEADERS, "authorization=s3cret")
    (taken,) = Outbox(store.file).take(ENDPOINT, 1, lease_seconds=1.0)
    with (
        collecting("http://collector.invalid", QUICK, 1) as collector,
        pytest.raises(NotSentError, match="the headers would travel unencrypted; give an https:// endpoint"),
    ):
        collector.send(taken)
    assert collector.requests == 0
