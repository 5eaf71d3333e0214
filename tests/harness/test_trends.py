"""Histories: changes of level, outliers, drift against a baseline, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import ruptures

from harness.commands import entry
from harness.statistics import shifts
from harness.stores.baselines import BaselineTable
from harness.stores.duckdb_store import DuckdbStore
from harness.trends import Event
from harness.trends.chart import chart
from harness.trends.drawing import drawn
from harness.trends.events import events
from harness.trends.reading import histories
from harness.trends.resources import HEAD

Nights = Callable[[Sequence[float], str], DuckdbStore]


def noisy(level: Sequence[float], sigma: float = 0.01, seed: int = 0) -> list[float]:
    return [float(value) for value in np.array(level) + np.random.default_rng(seed).normal(0, sigma, len(level))]


def seen(store: DuckdbStore) -> list[Event]:
    (history,) = histories(BaselineTable(store.file), "words.pass_rate")
    return events(history)


def bless(job: str) -> None:
    assert entry(["baseline", "bless", job, "--name", "prod"]) == 0


@pytest.fixture(autouse=True)
def place(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


def test_noise_is_that_of_the_steps_whatever_drifts_or_stands_out() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 2.0, 2000) + np.linspace(0, 50, 2000)
    values[::50] += 100
    assert shifts.noise(values, 0.0) == pytest.approx(2.0, rel=0.1)
    assert shifts.noise(np.ones(20), 0.25) == 0.25


def test_changes_are_those_of_exact_segmentation() -> None:
    """Without outliers nothing but the stock tool on standardised values; with one, still the same levels."""
    values = np.array(noisy([0.8] * 30 + [0.7] * 30))
    stock = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(values[:, None] / 0.01).predict(pen=shifts.PENALTY)
    assert shifts.changes(values, 0.01) == stock[:-1] == [30]
    values[10] = 0.2
    assert shifts.changes(values, 0.01) == [30]
    assert list(np.flatnonzero(shifts.outliers(values, 0.01))) == [10]


@pytest.mark.parametrize("seed", range(8))
def test_levels_are_those_of_the_stock_tool(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.repeat(rng.normal(0, 3, 12), 10) + rng.uniform(-1, 1, 120)
    assert not shifts.outliers(values, 1.0).any()
    stock = ruptures.KernelCPD(kernel="linear", min_size=2).fit(values[:, None]).predict(pen=shifts.PENALTY)
    assert shifts.changes(values, 1.0) == stock[:-1]
    assert len(stock) > 1


def test_slack_by_hand() -> None:
    assert shifts.slack(0.01, 0.05, 4) == pytest.approx(0.025 + 2 * 0.01 / 2)
    assert shifts.slack(0.04, 0.05, 1) == pytest.approx(0.04 + 2 * 0.04)
    assert shifts.slack(0.01, None, 1) == pytest.approx(0.03)


def test_drift_by_hand() -> None:
    """Sums beyond 1: 0, 2, 4, 5, 6, 6, 2, 0, 0; above the 3 of the threshold twice, it is believed."""
    drops = np.array([0.0, 3.0, 3.0, 2.0, 2.0, 1.0, -9.0, -9.0, 0.0])
    assert list(shifts.drifting(drops, 1.0, 1.0)) == [False] * 3 + [True, True, True, False, False, False]
    assert not shifts.drifting(np.array([0.0, 99.0, 0.0]), 1.0, 1.0).any()


def test_a_model_that_never_varies_changes_at_once(nights: Nights) -> None:
    (change,) = seen(nights([0.8] * 5 + [0.79], "aaaaab"))
    assert (change.kind, change.index, change.worse, change.now) == ("change", 5, True, True)
    assert change.sentence == "worse: the level went from 80.0 % to 79.0 %"


def test_slow_drift_is_seen_although_every_step_is_inside_the_margin(nights: Nights) -> None:
    """A third of a point a night against a margin of five; the noise is one point."""
    level = [0.8] * 15 + [0.8 - 0.0033 * night for night in range(20)]
    store = nights(noisy(level), "a" * len(level))
    assert not any(event.kind == "drift" for event in seen(store))
    bless("job14")
    (drift,) = (event for event in seen(store) if event.kind == "drift")
    assert drift.now
    assert 20 <= drift.index <= 32
    assert entry(["trend", "words.pass_rate", "--strict"]) == 1


def test_drift_without_noise_is_beyond_the_margin(nights: Nights) -> None:
    store = nights([0.8, 0.8, 0.76, 0.74, 0.8], "aabca")
    bless("job1")
    (drift,) = (event for event in seen(store) if event.kind == "drift")
    assert (drift.index, drift.now) == (3, False)
    assert drift.sentence == "drift: worse than baseline prod (80.0 %) by 6.0 points"
    assert entry(["trend", "words.pass_rate", "--strict"]) == 0


def test_one_bad_night_is_an_outlier_and_no_drift(nights: Nights) -> None:
    values = noisy([0.8] * 20)
    values[12] = 0.5
    store = nights(values, "a" * 20)
    bless("job3")
    (outlier,) = seen(store)
    assert (outlier.kind, outlier.index, outlier.worse, outlier.now) == ("outlier", 12, True, False)


def test_a_smaller_value_that_is_better_is_not_worse(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    store = nights([0.8] * 4 + [0.7], "aaaab")
    store.file.execute("UPDATE deltas SET higher_is_better = false", [])
    (change,) = seen(store)
    assert (change.worse, change.sentence) == (False, "better: the level went from 80.0 % to 70.0 %")
    assert entry(["trend", "words.pass_rate", "--last", "1"]) == 0
    assert "70.0 %  −10.0 points" in capsys.readouterr().out


def test_what_trend_prints(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights([0.8] * 8 + [0.7] * 3, "a" * 8 + "bbb")
    bless("run2")
    assert entry(["trend", "words.pass_rate", "--last", "4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "prod is now small of job job2: PASS",
        "words.pass_rate of small in plan nightly, 11 runs",
        "    80.0 % |**B*****---",
        *["           |"] * 7,
        "    70.0 % |        d**",
        f"{'':11}* a run   c first run of a new level   o outlier   d drift   B baseline",
        "  started           job              value          step  verdict",
        "  2026-09-08 03:00  job7            80.0 %                PASS",
        "  2026-09-09 03:00  job8            70.0 %  −10.0 points  PASS          d",
        "  2026-09-10 03:00  job9            70.0 %                PASS",
        "  2026-09-11 03:00  job10           70.0 %                PASS",
        "  2026-09-09 03:00  worse: the level went from 80.0 % to 70.0 %",
        "  2026-09-09 03:00  drift: worse than baseline prod (80.0 %) by 10.0 points",
    ]


def test_without_a_metric_all_are_listed(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights([0.8, 0.8, 0.7], "aab")
    assert entry(["trend"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["plan", "candidate", "metric", "runs", "now", "unusual", "now"]
    assert line.split(maxsplit=6) == [
        *["nightly", "small", "words.pass_rate", "3", "70.0", "%"],
        "worse: the level went from 80.0 % to 70.0 %",
    ]


def test_the_page_shows_what_was_known_when_its_job_ran(nights: Nights) -> None:
    table = BaselineTable(nights([0.8, 0.8, 0.8, 0.7], "aaab").file)
    bless("job3")
    metrics = ["words.pass_rate", "words.pass_rate", "size.bytes"]
    (row,) = drawn(table, "nightly", "small", "job2", metrics)
    assert (row.values, row.baseline, row.since, row.notes) == ((0.8, 0.8, 0.8), None, "2026-09-01", ())
    (row,) = drawn(table, "nightly", "small", "job3", metrics)
    assert (row.baseline, row.name) == (0.7, "prod")
    assert row.notes == ("2026-09-04 worse: the level went from 80.0 % to 70.0 %",)
    assert list(drawn(table, "nightly", "small", "job1", metrics)) == []


def test_a_chart_shows_the_newest_runs_between_lowest_and_highest() -> None:
    lines = chart([9.0] * 100 + [0.5] * 71 + [1.0], {171: "d"}, 0.0, str)
    assert len(lines) == 9
    assert lines[0] == f"{'1.0':>10} |{' ' * 71}d"
    assert lines[4] == f"{'':10} |{'*' * 71}"
    assert lines[8] == f"{'0.0':>10} |{'-' * 72}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trend", "words.pass_rat"], "did you mean 'words.pass_rate'"),
        (["trend", "words.pass_rate", "--candidate", "big"], "no history of any plan/big; there are: nightly/small"),
        (["trend", "--plan", "weekly"], "no history of weekly/any candidate; there are: nightly/small"),
        (["baseline", "bless", "job0", "--name", "a\nb"], "one line without control characters"),
        (["baseline", "bless", "nojob"], "no job or run 'nojob'"),
        (["baseline", "bless", "job0", "--candidate", "big"], "give --candidate, one of: small"),
    ],
)
def test_wrong_names_are_a_line(
    arguments: list[str], said: str, nights: Nights, capsys: pytest.CaptureFixture[str]
) -> None:
    nights([0.8], "a")
    assert entry(arguments) == 3
    assert said in capsys.readouterr().err


def test_a_name_that_is_blessed_again_moves(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    nights([0.8, 0.8], "aa")
    bless("job0")
    bless("job1")
    capsys.readouterr()
    assert entry(["baseline", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "prod", "before:"]
    assert "job1" in lines[1]


def test_resources_are_shown_beside_the_original(nights: Nights, capsys: pytest.CaptureFixture[str]) -> None:
    store = nights([0.8, 0.8], "aa")
    rename = "UPDATE deltas SET metric = 'speed.decode', unit = 'tokens/s', before = 10, after = ? WHERE job = ?"
    store.file.execute(rename, [12.0, "job0"])
    store.file.execute(rename, [15.0, "job1"])
    assert entry(["trend", "--resources"]) == 0
    head, row = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    assert [cell.strip() for cell in head if cell] == list(HEAD)
    cells = [cell.strip() for cell in row if cell]
    assert cells[2:] == ["speed.decode", "2", *["12 tokens/s"] * 2, *["15 tokens/s"] * 2, "1.500"]
