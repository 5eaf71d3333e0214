"""What all candidates come to together."""

from __future__ import annotations

import pytest

from compress import Recipe
from harness.showing.overview import in_words, reason, spreads, tradeoffs
from harness.verdicts.finding import Decision
from harness.verdicts.gate import Verdict
from reports.page import CandidatePage, MetricRow


def verdicts(*decisions: Decision) -> list[Verdict]:
    return [Verdict(f"v{at}", decision, ()) for at, decision in enumerate(decisions)]


@pytest.mark.parametrize(
    ("decisions", "words"),
    [
        (["PASS"], "v0 keeps to its gates"),
        (["REGRESSION"], "v0 got worse than its gates allow"),
        (["INCONCLUSIVE"], "It is not proved whether v0 keeps to its gates"),
        (["PASS", "PASS"], "All 2 candidates keep to their gates"),
        (["PASS", "REGRESSION", "INCONCLUSIVE"], "1 of 3 candidates got worse than the gates allow"),
        (["PASS", "INCONCLUSIVE"], "Of 1 of 2 candidates it is not proved whether they keep to their gates"),
    ],
)
def test_the_verdict_in_words(decisions: list[Decision], words: str) -> None:
    assert in_words(verdicts(*decisions)) == words


def test_the_reason_of_several_that_pass_is_one() -> None:
    assert reason(verdicts("PASS", "PASS")) == "All blocking gates pass. Exit code 0."


def candidate(name: str, rate: float, size: float) -> CandidatePage:
    rows = (
        MetricRow("smoke.pass_rate", "share", 0.8, rate, 0.8 - rate, 0.7 - rate, 0.9 - rate),
        MetricRow("size.bytes", "bytes", 200.0, size, size - 200.0, part="resources"),
    )
    return CandidatePage(name, "PASS", "", numbers=rows)


def test_a_tradeoff_is_against_each_candidates_own_original() -> None:
    (one,) = tradeoffs([candidate("small", 0.6, 100.0), candidate("smaller", 0.5, 50.0)])
    assert (one.quality, one.resource, one.cheaper) == ("smoke.pass_rate", "size.bytes", "lower")
    assert [(point.name, point.x, point.y) for point in one.points] == [
        ("original", 1.0, 0.8),
        ("small", 0.5, 0.6),
        ("smaller", 0.25, 0.5),
    ]
    assert (one.points[1].low, one.points[1].high) == pytest.approx((0.5, 0.7))
    assert tradeoffs([candidate("small", 0.6, 100.0)]) == ()


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate({"method": "cfsp", "sparsity": 0.2, **fields})


def test_a_spread_is_of_recipes_that_differ_in_seeds_alone() -> None:
    pages = [candidate(name, rate, 100.0) for name, rate in (("a", 0.6), ("b", 0.5), ("c", 0.1))]
    made = {"a": recipe(), "b": recipe(seed=1, calibration={"seed": 7}), "c": recipe(sparsity=0.3)}
    (row,) = spreads(pages, made, ["smoke.pass_rate", "task.acc"])
    assert (row.candidates, row.metric, row.values) == (("a", "b"), "smoke.pass_rate", (0.6, 0.5))
