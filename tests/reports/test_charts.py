"""Coordinates by hand. The forest has 170 units left of the limit at 180 and 110 right of it."""

from __future__ import annotations

import math
from dataclasses import replace

from reports.charts import Dumbbell, Forest, Sparkline, dumbbell, forest, pattern, sparkline
from reports.page import GateRow, LayerRow, TagRow, TrendRow

MARGIN = GateRow(
    metric="smoke.pass_rate",
    rule="may drop by at most 4 points",
    decision="INCONCLUSIVE",
    reason="",
    unit="share",
    scale="drop",
    worse="higher",
    limit=0.04,
    estimate=0.02,
    low=-0.04,
    high=0.08,
    unchanged=0.0,
)


def test_forest_fits_the_longer_side() -> None:
    """0.08 left of the limit would allow 2125 units a unit, 0.04 right of it 2750: the smaller counts."""
    assert forest(MARGIN) == Forest(point=137.5, low=10.0, high=265.0, unchanged=95.0, open_low=False, open_high=False)


def test_forest_turns_round_where_lower_is_worse() -> None:
    """min_ratio 1.05: 1.11 is 0.06 better (left), 1.00 is 0.05 worse (right), so 110 / 0.05 = 2200 a unit."""
    gate = replace(MARGIN, scale="ratio", worse="lower", limit=1.05, estimate=1.07, low=1.02, high=1.11, unchanged=1.0)
    assert forest(gate) == Forest(point=136.0, low=48.0, high=246.0, unchanged=290.0, open_low=False, open_high=False)


def test_forest_without_a_bound_or_a_measurement() -> None:
    endless = forest(replace(MARGIN, high=math.inf))
    assert endless.high == 290.0
    assert endless.open_high
    missing = forest(replace(MARGIN, estimate=math.nan, low=None, high=None))
    assert (missing.point, missing.low, missing.high) == (None, None, None)
    assert missing.unchanged == 10.0


def test_forest_of_a_count_at_its_limit() -> None:
    gate = replace(MARGIN, scale="value", limit=0, estimate=0, low=None, high=None, unchanged=None)
    assert forest(gate).point == 180.0


def test_dumbbell() -> None:
    assert dumbbell(TagRow("smoke", "facts", 0.5, 0.25, 8)) == Dumbbell(before=150.0, after=80.0, change="worse")
    assert dumbbell(TagRow("smoke", "facts", 1.0, 1.0, 8)) == Dumbbell(before=290.0, after=290.0, change="same")


def test_sparkline() -> None:
    """232 units from 4 to 236, 36 from 40 (lowest) to 4 (highest); the baseline widens the scale."""
    row = TrendRow("smoke.pass_rate", "share", (0.5, 0.75, 0.625), "2026-11-01", baseline=1.0)
    assert sparkline(row) == Sparkline("4.0,40.0 120.0,22.0 236.0,31.0", 236.0, 31.0, 4.0)
    assert sparkline(replace(row, values=(0.5, 0.5), baseline=None)).points == "4.0,22.0 236.0,22.0"


def test_pattern() -> None:
    """Two layers share 676 units; the axis runs from 172 (nothing kept) to 12 (all kept)."""
    drawn = pattern((LayerRow(0, 1152, 1536, 3, 3), LayerRow(1, 1536, 1536, 1, 2, mlp=False)))
    first, second = drawn.bars
    assert (first.x, first.centre, first.width, first.top, first.dot) == (77.8, 213.0, 270.4, 52.0, 12.0)
    assert (second.x, second.top, second.dot) == (415.8, 172.0, 92.0)
    assert [(tick.y, tick.label) for tick in drawn.ticks] == [(12.0, "100%"), (92.0, "50%"), (172.0, "0%")]
    assert sum(bar.labelled for bar in pattern(tuple(LayerRow(at, 1, 1, 1, 1) for at in range(80))).bars) == 16
