"""The page of a search: coordinates by hand, missing numbers missing, hostile strings text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reports.page import Fact
from reports.search.chart import Tick, chart
from reports.search.drawing import render_search, write_search
from reports.search.page import SearchPage, TrialLine, VariantLine

PAGE = SearchPage(
    plan="bot",
    created="2026-11-28 21:00 UTC",
    decision="PASS",
    sentences=("cfsp 0.2 passes on held-out cases.",),
    command="secateur search plan.yaml",
    trials=(
        TrialLine("screened", "cfsp", 0.2, 113_000_000, 0.5, 0.4, 0.6, seconds=13.2),
        TrialLine("screened", "cfsp", 0.4, 92_000_000, 2.0, 1.8, 2.0, seconds=13.2),
        TrialLine("held out", "cfsp", 0.2, 113_000_000, 0.5, expected=0.3, decision="PASS", reason="All pass."),
    ),
    variants=(VariantLine("cfsp", 0.2, 0.3, 0.25, 0.35, "kept"), VariantLine("flap", None, None, None, None, "lost")),
    provenance=(Fact("job", "j1"),),
)


def test_sparsity_goes_right_and_divergence_up_from_the_original_at_zero() -> None:
    drawn = chart(PAGE)
    assert drawn
    (line,) = drawn.lines
    # 584 units for 0.4, 240 for 2 nats: 0.2 stands at 56 + 292, 0.5 nats at 256 - 60.
    assert line.points == "56.0,256.0 348.0,196.0 640.0,16.0"
    assert line.band == (421.0, 567.0, 494.0)
    assert [(dot.x, dot.y, dot.top, dot.bottom) for dot in drawn.dots[:2]] == [
        (348.0, 196.0, 184.0, 208.0),
        (640.0, 16.0, 16.0, 40.0),
    ]
    judged = drawn.dots[2]
    assert (judged.top, judged.bottom, judged.held_out) == (196.0, 196.0, True)
    assert judged.title == "cfsp 0.2, held out: 0.5 nats a token, PASS: All pass."
    assert drawn.across[-1] == Tick(640.0, "0.4")


def test_names_that_would_lie_on_each_other_move_apart() -> None:
    others = (*PAGE.variants, VariantLine("wanda_sp", None, None, None, None, ""))
    same = tuple(replace(trial, variant="wanda_sp") for trial in PAGE.trials[:2])
    drawn = chart(replace(PAGE, variants=others, trials=(*PAGE.trials, *same)))
    assert drawn
    assert [(line.name, line.y) for line in drawn.lines] == [("cfsp", 16.0), ("wanda_sp", 2.0)]


def test_of_many_variants_only_the_first_are_named_and_their_names_fit() -> None:
    names = [f"v{number}" for number in range(40)]
    trials = tuple(replace(trial, variant=name) for name in names for trial in PAGE.trials[:2])
    others = tuple(VariantLine(name, None, None, None, None, "") for name in names)
    drawn = chart(replace(PAGE, variants=others, trials=trials))
    assert drawn
    assert len(drawn.lines) == 40
    assert {line.name for line in drawn.lines if line.named} == set(names[:14])
    assert sorted(line.y for line in drawn.lines if line.named) == [2.0 + 14 * number for number in range(14)]
    assert render_search(replace(PAGE, variants=others, trials=trials)).count('class="name"') == 14


def test_every_step_and_variant_is_in_the_tables() -> None:
    html = render_search(PAGE)
    assert html.count("<tr>") == 2 + 2 + 3
    assert "20.0 %" in html
    assert "25.0 to 35.0" in html
    assert "113 M" in html
    assert html.count("★") == 0
    assert render_search(replace(PAGE, trials=(replace(PAGE.trials[0], front=True),))).count("★") == 1


def test_nothing_measured_is_no_chart() -> None:
    html = render_search(replace(PAGE, trials=(), decision="INCONCLUSIVE"))
    assert "<polyline" not in html
    assert "INCONCLUSIVE" in html


def test_hostile_strings_are_text(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\u202e"
    trial = replace(PAGE.trials[2], variant=bad, reason=bad)
    write_search(replace(PAGE, plan=bad, sentences=(bad,), command=bad, trials=(trial,)), tmp_path / "s.html")
    html = (tmp_path / "s.html").read_text()
    assert "<script" not in html
    assert "\u202e" not in html
