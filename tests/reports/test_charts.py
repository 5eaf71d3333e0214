"""Coordinates by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from reports.charts import curve, dumbbell, forest, histogram, multiples, passage, pattern, sparkline, tradeoff
from reports.charts.axes import Axis, around
from reports.compression import LayerRow, LossPoint, RecoveryRow
from reports.fidelity import DivergenceRow, PassageRow
from reports.overview import Tradeoff, TradePoint
from reports.page import CandidatePage, GateRow, MetricRow, TagRow, TrendRow

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
    low=-0.02,
    high=0.06,
    unchanged=0.0,
)


@pytest.mark.parametrize(
    ("axis", "most", "ticks"),
    [
        (Axis(0, 1, 0, 100), 2, [(0, 0), (50, 0.5), (100, 1)]),
        (Axis(-3, 17, 0, 100), 5, [(15, 0), (40, 5), (65, 10), (90, 15)]),
        (Axis(0, 1, 100, 0), 1, [(100, 0), (0, 1)]),
        (Axis(0.01, 100, 0, 80, "log"), 5, [(0, 0.01), (20, 0.1), (40, 1), (60, 10), (80, 100)]),
        (Axis(0.01, 100, 0, 80, "log"), 3, [(0, 0.01), (40, 1), (80, 100)]),
        (Axis(2, 2, 0, 100), 5, [(50, 2)]),
    ],
)
def test_round_values_stand_on_an_axis(axis: Axis, most: int, ticks: list[tuple[float, float]]) -> None:
    assert [(tick.at, tick.value) for tick in axis.ticks(most)] == ticks


def test_what_is_beyond_an_axis_stands_at_its_end() -> None:
    assert Axis(0, 1, 10, 30).place(math.inf) == 30
    assert Axis(1, 100, 10, 30, "log").place(0) == 10


def test_an_axis_around_values_has_room_even_for_one_or_none() -> None:
    assert around([0, 10], 0, 1) == Axis(-0.6, 10.6, 0, 1)
    assert around([5, math.inf], 0, 1) == Axis(4.7, 5.3, 0, 1)
    assert around([], 0, 1).low < 0 < 1 < around([], 0, 1).high


def test_gates_of_one_scale_share_one_axis() -> None:
    """From -0.02 to 0.06 with 6 % more at either end, 296 units: (v + 0.0248) / 0.0896 of them, after 12."""
    other = replace(MARGIN, metric="arc_easy.acc", limit=0.03)
    ratio = replace(MARGIN, scale="ratio", limit=1.0, estimate=0.9, low=0.9, high=0.9, unchanged=1.0)
    both, alone = forest.panels([MARGIN, ratio, other])
    first, second = both.marks
    assert (first.limit, first.point, first.low, first.high, first.unchanged) == (226.07, 160.0, 27.86, 292.14, 93.93)
    assert second.limit == pytest.approx(12 + 296 * (0.03 + 0.0248) / 0.0896, abs=0.01)
    assert [tick.value for tick in both.ticks] == [-0.02, 0.0, 0.02, 0.04, 0.06]
    assert (alone.scale, alone.unit, [mark.gate for mark in alone.marks]) == ("ratio", "ratio", [ratio])


def test_worse_is_always_to_the_right() -> None:
    gate = replace(MARGIN, scale="ratio", worse="lower", limit=1.05, estimate=1.07, low=1.02, high=1.11, unchanged=1.0)
    ((mark,),) = (panel.marks for panel in forest.panels([gate]))
    assert mark.low < mark.point < mark.limit < mark.high < mark.unchanged


def test_a_forest_shows_noise_and_what_it_could_detect() -> None:
    gate = replace(MARGIN, noise=0.01, detectable=0.05)
    ((mark,),) = (panel.marks for panel in forest.panels([gate]))
    assert mark.noise == (60.89, 126.96)
    assert mark.limit < mark.detectable < mark.high


def test_a_forest_without_a_bound_or_a_measurement() -> None:
    ((endless,),) = (panel.marks for panel in forest.panels([replace(MARGIN, high=math.inf)]))
    assert (endless.high, endless.open_high, endless.open_low) == (308.0, True, False)
    ((missing,),) = (panel.marks for panel in forest.panels([replace(MARGIN, estimate=math.nan, low=None, high=None)]))
    assert (missing.point, missing.low, missing.high) == (None, None, None)


def test_dumbbell() -> None:
    assert dumbbell.place(TagRow("smoke", "facts", 0.5, 0.25, 8)) == dumbbell.Dumbbell(150.0, 80.0, "worse")
    assert dumbbell.place(TagRow("smoke", "facts", 1.0, 1.0, 8)) == dumbbell.Dumbbell(290.0, 290.0, "same")


def test_sparkline() -> None:
    """232 units from 4 to 236, 36 from 40 (lowest) to 4 (highest); the baseline widens the scale."""
    row = TrendRow("smoke.pass_rate", "share", (0.5, 0.75, 0.625), "2026-11-01", baseline=1.0)
    assert sparkline.place(row) == sparkline.Sparkline("4.0,40.0 120.0,22.0 236.0,31.0", 236.0, 31.0, 4.0)
    assert sparkline.place(replace(row, values=(0.5, 0.5), baseline=None)).points == "4.0,22.0 236.0,22.0"


def test_pattern() -> None:
    """Two layers share 676 units; the axis runs from 172 (nothing kept) to 12 (all kept)."""
    drawn = pattern.pattern((LayerRow(0, 1152, 1536, 3, 3), LayerRow(1, 1536, 1536, 1, 2, mlp=False)))
    first, second = drawn.bars
    assert (first.x, first.centre, first.width, first.top, first.dot) == (77.8, 213.0, 270.4, 52.0, 12.0)
    assert (second.x, second.top, second.dot) == (415.8, 172.0, 92.0)
    assert [(tick.at, tick.value) for tick in drawn.ticks] == [(172.0, 0.0), (92.0, 0.5), (12.0, 1.0)]
    many = tuple(LayerRow(at, 1, 1, 1, 1) for at in range(80))
    assert sum(bar.labelled for bar in pattern.pattern(many).bars) == 16


def test_heat_is_the_rank_among_all_layers() -> None:
    """Two cells a layer, 80 high; by the sum of their ends 11, 20, 20 and 110."""
    rows = (
        LayerRow(0, 3, 4, 1, 1, scores=(1.0, 10.0, 100.0)),
        LayerRow(1, 4, 4, 1, 1),
        LayerRow(2, 4, 4, 1, 1, scores=(10.0, 10.0, 10.0)),
    )
    first, last = pattern.heat(rows)
    assert [(cell.y, cell.height, cell.shade) for cell in first.cells] == [(92.0, 80.0, 0.25), (12.0, 80.0, 1.0)]
    assert (first.cut, last.cut) == (132.0, 172.0)
    assert [cell.shade for cell in last.cells] == [0.75, 0.75]
    assert pattern.heat((LayerRow(0, 4, 4, 1, 1), LayerRow(1, 4, 4, 1, 1, scores=(0.5,)))) == ()


def test_histogram() -> None:
    """Two bins share 676 units, one unit free at either side; the fuller one is as high as the axis."""
    drawn = histogram.place(DivergenceRow("", (0.0, 0.1), (3, 1)))
    assert [(one.x, one.width, one.top, one.high) for one in drawn.bins] == [
        (45.0, 336.0, 12.0, 0.1),
        (383.0, 336.0, 105.33, None),
    ]
    assert drawn.tokens == 4
    assert [one.top for one in histogram.place(DivergenceRow("", (0.0, 0.1), (0, 0))).bins] == [152.0, 152.0]


def test_a_letter_of_several_tokens_is_as_loud_as_the_loudest() -> None:
    row = PassageRow("document 0", 0.2, ("a", "", "ä", "b"), (0.0, 0.7, 0.1, 0.3))
    assert passage.tokens(row) == [("a", 0.0), ("ä", 0.7), ("b", 0.3)]
    assert [passage.step(kl) for kl in (0.0, 0.05, 0.3, 0.5, 9.0)] == [0, 1, 2, 3, 4]


def test_curve() -> None:
    """Tokens 0 to 100 run from 52 to 712; losses 1 to 3 with 6 % more at either end from 172 to 12."""
    points = (LossPoint(0, None, 3.0), LossPoint(50, 2.0, 2.0), LossPoint(100, 1.0, 2.0))
    drawn = curve.place(RecoveryRow("lora", 3.0, 2.0, points))
    assert drawn is not None
    assert drawn.held_out == "52.0,20.57 382.0,92.0 712.0,92.0"
    assert drawn.training == "382.0,92.0 712.0,163.43"
    assert curve.place(RecoveryRow("lora", 3.0, 2.0, points[:1])) is None


def traded(cheaper: str, *points: tuple[str, float, float]) -> Tradeoff:
    return Tradeoff("q", "share", "r", "ratio", cheaper, tuple(TradePoint(*point) for point in points))  # type: ignore[arg-type]


def test_the_front_holds_what_no_other_beats() -> None:
    models = [("original", 1.0, 0.9), ("good", 0.8, 0.85), ("dear", 0.9, 0.8), ("small", 0.5, 0.2), ("same", 0.5, 0.1)]
    assert [point.name for point in tradeoff.front(traded("lower", *models))] == ["small", "good", "original"]
    assert [point.name for point in tradeoff.front(traded("higher", *models))] == ["original"]


def test_the_front_goes_across_before_it_goes_up() -> None:
    drawn = tradeoff.place(traded("lower", ("original", 1.0, 1.0), ("small", 0.0, 0.0)))
    (x1, y1), (x2, y2) = ((spot.x, spot.y) for spot in reversed(drawn.spots))
    assert drawn.front == f"{x1},{y1} {x2},{y1} {x2},{y2}"
    assert [spot.label.anchor for spot in drawn.spots] == ["end", "start"]


def test_names_do_not_cover_each_other() -> None:
    near = [("original", 1.0, 0.70), ("first", 1.0, 0.70), ("second", 0.99, 0.69), ("small", 0.2, 0.1)]
    labels = [(spot.label.x, spot.label.y, spot.label.anchor) for spot in tradeoff.place(traded("lower", *near)).spots]
    assert len(set(labels)) == 4


def test_the_name_of_a_model_right_below_another_is_below_it() -> None:
    upper, lower = tradeoff.place(traded("lower", ("original", 1.0, 0.7), ("a", 0.6, 0.08), ("b", 0.6, 0.05))).spots[1:]
    assert upper.label.y < upper.y < lower.y < lower.label.y


def test_tasks_side_by_side_share_one_scale() -> None:
    rows = (MetricRow("a.acc", "share", 0.5, 0.4, 0.1, 0.0, 0.2), MetricRow("b.acc", "share", 0.5, 0.6, -0.1))
    other = (MetricRow("a.acc", "share", 0.5, None), MetricRow("size.bytes", "bytes", 2, 1, -1, part="resources"))
    pages = [CandidatePage(name, "PASS", "", numbers=found) for name, found in (("x", rows), ("y", other))]
    all_of_it = multiples.grid(pages)
    assert [(panel.metric, [dot.candidate for dot in panel.dots]) for panel in all_of_it.panels] == [
        ("a.acc", ["x"]),
        ("b.acc", ["x"]),
    ]
    (first,), (second,) = (panel.dots for panel in all_of_it.panels)
    assert first.low == all_of_it.zero == pytest.approx((first.point + second.point) / 2, abs=0.01)
    assert (second.low, second.high) == (None, None)
