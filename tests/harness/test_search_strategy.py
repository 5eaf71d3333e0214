"""What a search does next, by hand; and the curve that it reads."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from harness.search.account import Account
from harness.search.room import breaking, held
from harness.search.strategy import TRIALS, Bracket, Levels, expected, finalists, kept, next_sparsity
from harness.statistics.rising import Band, Rising, rising
from harness.stores.trials import TrialRow

SPAN = (0.05, 0.5)
SHARP = Rising(np.array([0.0, 0.25, 0.5]), np.array([[0.0, 0.5, 1.0]] * 3))
"""The height is four times the square of the place, and surely so."""


def test_a_curve_only_rises_and_says_where_it_reaches_a_height() -> None:
    values = np.array([[1.0, 0.5, 4.0]] * 6)  # the first two are averaged
    curve = rising(np.array([0.1, 0.2, 0.4]), values, np.ones(6))
    assert curve.height(0.1).middle == curve.height(0.15).middle == pytest.approx(0.75)
    assert curve.height(0.4) == pytest.approx((4.0, 4.0, 4.0))
    assert curve.reaches(4.5) == (math.inf, math.inf, math.inf)
    # Between 0.2 and 0.4 the root goes from 0.866 to 2: it is 1.5 at 0.2 + 0.2 * 0.634 / 1.134.
    assert curve.reaches(2.25).middle == pytest.approx(0.2 + 0.2 * (1.5 - 0.75**0.5) / (2 - 0.75**0.5))
    assert curve.reaches(0.0).middle == 0.0


def test_the_band_covers_the_truth_as_often_as_it_says() -> None:
    places, hits = np.array([0.1, 0.3, 0.5]), 0
    for seed in range(60):
        noise = np.random.default_rng(seed).gamma(2.0, 0.5, (30, 1))
        low, _, high = rising(places, noise * 8 * places**2, np.ones(30)).reaches(8 * 0.3**2)
        hits += low <= 0.3 <= high
    assert 0.8 < hits / 60 < 0.98, "90 % less what a bootstrap of 30 units lacks, and chance"


def followed(breaks: float, gated: list[Band], guess: float | None) -> tuple[list[float], Bracket]:
    """The trials where all below `breaks` pass, and say that it is at a divergence of `guess`."""
    bracket, levels, tried = Bracket(), Levels(), []
    while len(tried) < TRIALS:
        sparsity = next_sparsity(bracket, expected(SHARP, levels, gated), SPAN, 0.02)
        if sparsity is None:
            break
        passes, level = sparsity < breaks, SHARP.height(sparsity).middle
        tried.append(sparsity)
        bracket = bracket.with_trial(sparsity, passes)
        levels = levels.with_trial(level, passes, guess)
    return tried, bracket


@pytest.mark.parametrize("breaks", [0.03, 0.07, 0.12, 0.2, 0.33, 0.49, 0.6])
@pytest.mark.parametrize(
    ("seen", "guess", "most"), [(True, None, 4), (False, None, 6), (False, 1.2, 5), (True, 1.0, 3)]
)
def test_a_few_trials_find_where_the_gates_break(breaks: float, seen: bool, guess: float | None, most: int) -> None:
    gated = [Band(0.9 * breaks, breaks, 1.1 * breaks)] if seen else []
    tried, bracket = followed(breaks, gated, guess and guess * 4 * breaks**2)
    assert len(tried) == len(set(tried)) <= most
    assert all(SPAN[0] <= sparsity <= SPAN[1] for sparsity in tried)
    assert bracket.passed is None if breaks < SPAN[0] else bracket.passed is not None
    if SPAN[0] < breaks < SPAN[1]:
        assert bracket.passed is not None
        assert bracket.failed is not None
        assert bracket.passed < breaks <= bracket.failed
        assert bracket.failed - bracket.passed <= 0.0351


def test_a_failure_below_what_passed_takes_the_pass_back() -> None:
    assert Bracket(0.2, 0.3).with_trial(0.1, passes=False) == Bracket(None, 0.1)
    assert Bracket(0.2, 0.3).with_trial(0.4, passes=True) == Bracket(0.2, 0.3)


def test_of_many_variants_the_better_half_is_kept_and_of_two_whoever_may_be_as_good() -> None:
    near, far = Band(0.18, 0.2, 0.22), Band(0.05, 0.06, 0.07)
    assert kept({"a": near, "b": Band(0.19, 0.21, 0.23)}) == ["b", "a"]
    assert kept({"a": near, "b": far}) == ["a"]
    assert kept({"a": near, "b": near, "c": near, "d": near, "e": far}) == ["a", "b", "c"]


def test_finalists_begin_with_what_passed_and_get_safer() -> None:
    assert finalists(0.2, 0.05, 0.02) == [0.2, 0.15, 0.1]
    assert finalists(0.08, 0.05, 0.02) == [0.08, 0.06]
    assert finalists(0.06, 0.05, 0.02) == [0.06]


def finding(metric: str, limit: dict[str, float], decision: str = "PASS", **facts: object) -> dict[str, object]:
    gate = {"metric": metric, "alpha": 0.05, **limit}
    known = {"before": None, "low": None, "high": None, "drawn_from": None, "losses": 0, "gains": 0}
    return {"gate": gate, "decision": decision, "severity": "block", **known, **facts}


# 0.1 lost of a margin of 0.15; of 400 items the bound adds 1.645 sqrt((0.2 - 0.01) / 400) = 0.03585.
FLIPS = finding("arc.acc", {"margin": 0.15}, of="drop", estimate=0.1, n=100, drawn_from=400, losses=15, gains=5)
RATIO = finding("fidelity.perplexity_ratio", {"max": 1.5}, of="value", estimate=1.25, high=1.35, n=50)
SPEED = finding("x.y", {"min_ratio": 0.9}, "INCONCLUSIVE", of="ratio", estimate=0.95, low=0.93, n=50)
RATE = finding("words.pass_rate", {"min": 0.6}, of="value", before=0.8, estimate=0.9, low=0.85, n=50)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([FLIPS], 2 * (0.15 - 0.035849) / 0.1),
        ([RATIO], 2 * (0.5 - 0.1) / 0.25),
        ([SPEED], 2 * (0.1 - 0.02) / 0.05),
        ([RATE], math.inf),
        ([FLIPS, RATIO, RATE], 2 * (0.15 - 0.035849) / 0.1),
        ([{**FLIPS, "severity": "warn"}, {**RATIO, "estimate": None}], None),
        ([{**RATIO, "high": 1.8}], 0.0),
    ],
)
def test_a_trial_says_at_which_divergence_its_gates_break(findings: list[object], expected: float | None) -> None:
    tried = replace(row("gates", 0.2, "PASS"), divergence=2.0, findings=json.dumps(findings))
    assert breaking(tried) == (expected if expected in (None, math.inf) else pytest.approx(expected, rel=1e-4))


def test_a_source_is_held_once_all_its_gates_pass() -> None:
    other = {**FLIPS, "gate": {"metric": "arc.acc_norm", "margin": 0.1, "alpha": 0.05}, "decision": "REGRESSION"}
    assert held(replace(row("gates", 0.2, "PASS"), findings=json.dumps([FLIPS, RATIO]))) == {"arc", "fidelity"}
    assert held(replace(row("gates", 0.2, "PASS"), findings=json.dumps([FLIPS, other, RATIO]))) == {"fidelity"}


def row(kind: str, sparsity: float, decision: str, variant: str = "cfsp") -> TrialRow:
    return TrialRow("j", kind, variant, sparsity, 100, decision=decision, reason="acc: it dropped.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        ([row("verdict", 0.1, "PASS"), row("verdict", 0.2, "REGRESSION")], 0, "cfsp 0.2 fails on held-out cases"),
        (
            [row("gates", 0.15, "INCONCLUSIVE"), row("verdict", 0.1, "PASS")],
            0,
            "0.15 is inconclusive on searched cases",
        ),
        ([row("gates", 0.1, "PASS"), row("verdict", 0.1, "REGRESSION")], 1, "cfsp 0.1 fails on held-out cases: acc"),
        ([row("gates", 0.1, "PASS"), row("verdict", 0.1, "INCONCLUSIVE")], 2, "cfsp 0.1 is inconclusive on held-out"),
        ([row("gates", 0.05, "REGRESSION")], 1, "No candidate passed among the searched cases"),
        (
            [row("gates", 0.05, "REGRESSION"), row("gates", 0.05, "INCONCLUSIVE", "flap")],
            2,
            "flap 0.05 is inconclusive",
        ),
    ],
)
def test_the_result_in_words_and_its_exit_code(rows: list[TrialRow], code: int, said: str) -> None:
    account = Account("plan", "j", tuple(rows))
    assert account.exit_code == code
    assert said in " ".join(account.sentences())


def test_of_very_many_variants_the_first_are_told_in_words() -> None:
    fates = [replace(row("variant", 0.0, "", f"v{number}"), reason="left behind") for number in range(40)]
    said = Account("plan", "j", (row("verdict", 0.1, "PASS"), *fates)).sentences()
    assert said[1] == "v0 was dropped: left behind."
    assert (len(said), said[-1]) == (1 + 8 + 1, "The table of variants on the page has 32 more.")
