"""What is stored of a verdict, as the rows that pages show: no run is read, nothing is compared again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.gates import Gate
from harness.showing.numbers import gate_row, metric_row
from harness.statistics.delta import Delta
from harness.stores import VerdictRow
from harness.stores.derived import DeltaRow
from harness.verdicts.finding import Finding
from reports.page import GateRow, MetricRow
from reports.site.pages import KeyNumber

KEPT = ("before", "after", "estimate", "low", "high", "n", "drawn_from", "method", "detectable")
"""Facts of a finding that are those of its difference, under the same names."""


def gate_rows(verdict: VerdictRow, deltas: Sequence[DeltaRow]) -> tuple[GateRow, ...]:
    """The gates of a verdict. Raises HarnessError for findings that this version cannot read."""
    units = {delta.metric: delta.unit for delta in deltas}
    try:
        return tuple(gate_row(_finding(facts, units)) for facts in json.loads(verdict.findings))
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise HarnessError(
            f"job {verdict.job}, {verdict.candidate}: its findings are not such as this version writes"
        ) from error


def number_rows(deltas: Sequence[DeltaRow]) -> tuple[MetricRow, ...]:
    """Every number of both models; flips are counted in the report only, where pairs are at hand."""
    return tuple(metric_row(_delta(delta)) for delta in deltas)


def key_numbers(gates: Sequence[GateRow], most: int) -> tuple[KeyNumber, ...]:
    """The numbers of the first gates, each metric once; those of all items and against the original, if there are."""
    numbers: dict[str, KeyNumber] = {}
    for gate in sorted(gates, key=lambda gate: bool(gate.where)):
        numbers.setdefault(gate.metric, KeyNumber(gate.metric, gate.unit, gate.before, gate.after))
    return tuple(numbers[name] for name in dict.fromkeys(gate.metric for gate in gates))[:most]


def _finding(facts: Mapping[str, object], units: Mapping[str, str]) -> Finding:
    gate = Gate.model_validate(facts["gate"])
    known = {name: facts[name] for name in KEPT}
    delta = Delta(
        metric=gate.metric,
        unit=units.get(gate.metric, ""),
        of=facts["of"],  # type: ignore[arg-type]
        drop=None,
        clusters=0,
        **known,  # type: ignore[arg-type]
    )
    decision, reason, severity = facts["decision"], str(facts["reason"]), facts["severity"]
    return Finding(gate, decision, reason, delta, severity, facts["items_needed"])  # type: ignore[arg-type]


def _delta(row: DeltaRow) -> Delta:
    values = {name: getattr(row, name) for name in ("metric", "unit", "before", "after", "drop", "low", "high", "n")}
    return Delta(of="drop", estimate=row.drop, clusters=0, method="", **values)
