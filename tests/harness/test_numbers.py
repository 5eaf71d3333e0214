"""Deltas and findings as rows of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.noise import Floor
from harness.plan import Gate
from harness.showing.numbers import gate_row, metric_row, part_of
from harness.statistics.delta import Delta
from harness.verdicts.finding import Finding

RATE = Delta("smoke.pass_rate", "share", "drop", 0.8, 0.6, 0.2, 0.2, 0.15, 0.25, 200, 200, "Tango")
FLOOR = Floor("3 of 200 flip", 0.015)


@pytest.mark.parametrize(
    ("metric", "unit", "shown"),
    [
        ("wikitext.word_perplexity", "word_perplexity", ""),
        ("smoke.score", "score", ""),
        ("size.bytes", "bytes", "bytes"),
        ("smoke.pass_rate", "share", "share"),
    ],
)
def test_a_unit_that_the_name_says_is_not_said_again(metric: str, unit: str, shown: str) -> None:
    assert metric_row(replace(RATE, metric=metric, unit=unit)).unit == shown


def test_an_interval_of_a_value_is_kept_and_is_no_change() -> None:
    row = metric_row(replace(RATE, of="value", low=0.55, high=0.65))
    assert (row.low, row.high, row.of, row.drop, row.change) == (0.55, 0.65, "value", None, "unclear")


def test_noise_stands_beside_a_drop_of_all_items_only() -> None:
    finding = Finding(Gate(metric="smoke.pass_rate", margin=0.05), "REGRESSION", "why.", RATE, "block")
    assert gate_row(finding, FLOOR).noise == 0.015
    assert gate_row(finding).noise is None
    assert gate_row(replace(finding, delta=replace(RATE, of="value")), FLOOR).noise is None
    tagged = Gate.model_validate({"metric": "smoke.pass_rate", "margin": 0.05, "where": {"tag": "hard"}})
    assert gate_row(replace(finding, gate=tagged), FLOOR).noise is None
    assert metric_row(RATE, FLOOR).noise == "3 of 200 flip"


def test_parts_of_the_page() -> None:
    parts = [part_of(metric) for metric in ("smoke.pass_rate", "fidelity.news.kl", "speed.decode", "size.bytes")]
    assert parts == ["quality", "fidelity", "resources", "resources"]
