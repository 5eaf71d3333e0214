"""What is called the worst and the best, and what is not, since it may be chance."""

from __future__ import annotations

from dataclasses import replace

from harness.plan import Gate
from harness.showing.highlights import chosen, notable
from harness.statistics.delta import Delta
from harness.statistics.paired import Table
from harness.verdicts.finding import Decision, Finding
from harness.verdicts.gate import Verdict
from reports.overview import Highlight
from reports.page import TagRow

RATE = Delta("smoke.pass_rate", "share", "drop", 0.8, 0.6, 0.2, 0.2, 0.15, 0.25, 200, 200, "Tango")
SIZE = Delta("size.bytes", "bytes", "drop", 500.0, 400.0, -100.0, -100.0, -100.0, -100.0, 0, 0, "exact reading")


def found(*deltas: Delta, findings: tuple[Finding, ...] = (), tags: tuple[TagRow, ...] = ()) -> tuple[Highlight, ...]:
    verdict = Verdict("small", "PASS", findings)
    return chosen(notable(verdict, {delta.metric: delta for delta in deltas}, tags))


def broken(delta: Delta, decision: Decision = "REGRESSION", severity: str = "block") -> Finding:
    gate = Gate(metric=delta.metric, margin=0.05)
    return Finding(gate, decision, "why.", delta, severity)  # type: ignore[arg-type]


def said(highlights: tuple[Highlight, ...]) -> list[tuple[str, str]]:
    return [(one.tone, one.what) for one in highlights]


def test_a_drop_whose_interval_holds_zero_is_no_loss() -> None:
    assert found(replace(RATE, drop=0.02, low=-0.01, high=0.05)) == ()


def test_a_drop_that_chance_makes_among_many_is_no_loss() -> None:
    """Two standard errors from zero: p = 0.046 alone, but not the first of twenty."""
    error = 0.05 / 1.6449
    doubtful = replace(RATE, metric="task0.acc", drop=2 * error, low=2 * error - 0.05, high=2 * error + 0.05)
    assert said(found(doubtful)) == [("worse", "task0.acc")]
    others = [replace(doubtful, metric=f"task{at}.acc", drop=0.0001, low=-0.05, high=0.0501) for at in range(1, 20)]
    assert found(doubtful, *others) == ()


def test_of_independent_items_the_exact_test_counts() -> None:
    """Four losses of four flips have p = 0.125, whatever an interval says."""
    few = replace(RATE, table=Table(100, 4, 0, 96), p=0.125)
    assert found(few) == ()
    assert said(found(replace(few, clusters=50))) == [("worse", "smoke.pass_rate")]


def test_a_broken_gate_comes_first_and_its_suite_is_not_told_again() -> None:
    worse = replace(RATE, metric="task.acc", after=0.1, drop=0.7, low=0.6, high=0.8)
    score = replace(worse, metric="smoke.score")
    rows = said(found(RATE, score, worse, findings=(broken(RATE),)))
    assert rows == [("worse", "smoke.pass_rate"), ("worse", "task.acc")]
    warned = said(found(worse, findings=(broken(RATE, severity="warn"),)))
    assert warned == [("worse", "task.acc"), ("worse", "smoke.pass_rate")]
    assert said(found(findings=(broken(RATE, "INCONCLUSIVE"),))) == []


def test_three_worst_and_one_best() -> None:
    worse = [replace(RATE, metric=f"task{at}.acc", after=0.6 - 0.1 * at) for at in range(5)]
    speed = replace(
        SIZE, metric="speed.decode", unit="tokens/s", before=10.0, after=30.0, drop=-20.0, low=-22.0, high=-18.0
    )
    rows = found(*worse, SIZE, speed, replace(SIZE, metric="size.parameters", after=499.0))
    assert said(rows) == [
        ("worse", "task4.acc"),
        ("worse", "task3.acc"),
        ("worse", "task2.acc"),
        ("better", "speed.decode"),
    ]
    assert (rows[-1].low, rows[-1].high) == (18.0, 22.0)
    (exact,) = found(SIZE)
    assert (exact.what, exact.low) == ("size.bytes", None)


def test_tags_are_told_only_where_they_are_marked() -> None:
    tags = (TagRow("smoke", "hard", 0.9, 0.1, 30, "worse"), TagRow("smoke", "soft", 0.9, 0.0, 3))
    assert said(found(tags=tags)) == [("worse", "smoke, tag hard")]
