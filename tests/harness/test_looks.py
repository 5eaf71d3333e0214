"""Asking in growing looks: when a gate is decided, and that nothing is asked in vain."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.drawing import drawing_order
from harness.errors import HarnessError
from harness.gates import Gate, Where
from harness.history import compared
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.records import DRAWN, Item, Measurement, ModelSpec, Run
from harness.showing import outputs
from harness.statistics.exact import proves
from harness.statistics.sequential import EARLY, log_wealth, look_sizes
from harness.stores.duckdb_store import DuckdbStore
from harness.stores.soundness import faults
from harness.verdicts.compare import Comparison, compare
from harness.verdicts.finding import found
from harness.verdicts.gate import settled

TOTAL = 500
ORDER = drawing_order(map(str, range(TOTAL)))
MARGIN = Gate(metric="t.acc", margin=0.05)


def drawn(drops: np.ndarray, asked: int) -> Comparison:
    """A benchmark of 500 documents of which so many were asked; drops: -1, 0 or 1, in the order of drawing."""

    def side(name: str, values: np.ndarray) -> Run:
        items = tuple(Item(ORDER[n], "h", float(values[n])) for n in range(asked))
        acc = Measurement("t.acc", float(values[:asked].mean()), "share", True, "binary", items)
        facts = {f"t: {DRAWN}": str(TOTAL)}
        return Run(name, ModelSpec(name, "x"), "f", measurements={"t.acc": acc}, facts=facts)

    before = np.where(drops < 0, 0.0, 1.0)
    return compare(side("original", before), side("small", before - drops), [])


def sample(loss: float, gain: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([1.0, -1.0, 0.0], TOTAL, p=[loss, gain, 1 - loss - gain])


def by_the_raced_rule(drops: np.ndarray) -> tuple[str, int]:
    """Decision and items, as tests/races/looks.py has it."""
    for size in look_sizes(TOTAL)[:-1]:
        for shares, mean, decision in (
            ((drops + 1) / 2, 1.05 / 2, "REGRESSION"),
            ((1 - drops) / 2, 0.95 / 2, "PASS"),
        ):
            if log_wealth(shares, mean, TOTAL, [size])[0] >= -math.log(EARLY * 0.05):
                return decision, size
    losses, gains, alpha = int(np.sum(drops > 0)), int(np.sum(drops < 0)), (1 - EARLY) * 0.05
    if proves(TOTAL, losses, gains, 0.05, alpha, "worse"):
        return "REGRESSION", TOTAL
    return "PASS" if proves(TOTAL, losses, gains, 0.05, alpha, "non-inferior") else "INCONCLUSIVE", TOTAL


@pytest.mark.parametrize(
    ("loss", "gain", "expected"),
    [(0.01, 0.01, "PASS"), (0.3, 0.05, "REGRESSION"), (0.08, 0.03, "INCONCLUSIVE"), (0.12, 0.12, "PASS")],
)
def test_a_gate_is_decided_at_the_first_look_that_decides_it(loss: float, gain: float, expected: str) -> None:
    decisions = []
    for seed in range(3):
        drops = sample(loss, gain, seed)
        finding = found(drawn(drops, TOTAL), MARGIN)
        assert (finding.decision, finding.delta.n) == by_the_raced_rule(drops)
        decisions.append(finding.decision)
    assert expected in decisions


def test_a_decision_stays_when_more_is_asked() -> None:
    drops = sample(0.3, 0.05, 0)
    early = found(drawn(drops, TOTAL), MARGIN)
    assert early.delta.n < TOTAL
    assert found(drawn(drops, early.delta.n), MARGIN) == early
    assert f"{early.delta.n} of {TOTAL} items" in early.reason
    before = look_sizes(TOTAL)[look_sizes(TOTAL).index(early.delta.n) - 1]
    assert found(drawn(drops, before), MARGIN).decision == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("limit", "decision"),
    [
        ({"min": 0.5}, "PASS"),
        ({"min": 0.999}, "REGRESSION"),
        ({"max": 0.2}, "REGRESSION"),
        ({"min_ratio": 0.5}, "PASS"),
        ({"min_ratio": 0.99}, "REGRESSION"),
    ],
)
def test_every_form_of_a_gate_is_decided_early(limit: dict[str, float], decision: str) -> None:
    finding = found(drawn(sample(0.1, 0.0, 1), 400), Gate(metric="t.acc", **limit))
    assert (finding.decision, finding.delta.n < 400) == (decision, True)


def test_a_ratio_to_nothing_so_far_waits_for_more() -> None:
    drops = np.where(np.arange(TOTAL) < 80, -1.0, 0.0)  # the original has the first 80 wrong
    gate = Gate(metric="t.acc", min_ratio=0.9)
    assert "too few of its 500 items" in found(drawn(drops, 63), gate).reason
    assert found(drawn(drops, TOTAL), gate).decision == "PASS"


def test_items_that_were_not_asked_are_not_missing() -> None:
    drops = sample(0.02, 0.02, 2)
    series = drawn(drops, 63).series["t.acc"]
    assert (len(series.ids), series.total, series.unanswered) == (63, TOTAL, 0)
    assert series.ids == tuple(ORDER[:63])
    comparison = drawn(drops, 63)
    assert comparison.deltas["t.acc"].low is None, "bounds for a number fixed beforehand would be too narrow"


def test_an_alarm_must_hold_among_all_gates_before_asking_stops() -> None:
    drops = sample(0.3, 0.05, 0)
    decided = found(drawn(drops, TOTAL), MARGIN).delta.n
    assert settled(drawn(drops, decided), [MARGIN], family=1)
    assert not settled(drawn(drops, decided), [MARGIN], family=1000)


PLAN = """\
name: looks
original: ./model
candidates: {same: {model: ./model}}
suites: [./words.yaml]
benchmarks: [{task: secateur_everyday, limit: 90}]
sequential: true
gates:
  - {metric: words.pass_rate, margin: 0.15}
  - {metric: words.pass_rate, margin: 0.4, where: {tag: even}}
  - {metric: secateur_everyday.acc, margin: 0.2}
"""
CASES = 90


@pytest.fixture
def plan(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> Path:
    """A plan whose candidate is the original itself."""
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    cases = [
        f"  - {{vars: {{word: w{n}}}, metadata: {{tags: [{'odd' if n % 2 else 'even'}]}}, max_new_tokens: 2,"
        " assert: [{type: regex, value: '.*'}]}"
        for n in range(CASES)
    ]
    (tmp_path / "words.yaml").write_text("\n".join(["prompts: ['Say {{word}}']", "tests:", *cases]))
    (tmp_path / "plan.yaml").write_text(PLAN)
    return tmp_path / "plan.yaml"


def test_a_run_stops_asking_what_is_decided_and_goes_on_where_it_stopped(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interrupted(what: str, done: int, total: int) -> None:
        if "everyday" in what and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(load_plan(str(plan)), out, progress=interrupted)
    outcome = run(load_plan(str(plan)), out)
    (verdict,) = outcome.verdicts
    words, even, everyday = (finding.delta.n for finding in verdict.findings)
    assert verdict.decision == "PASS"
    assert even < words < CASES
    assert everyday < 90
    store = DuckdbStore(out / "secateur.duckdb")
    before, after = store.runs(outcome.job)[::-1]
    if before.model.name != "original":
        before, after = after, before
    answered = [answer.case for answer in store.run(after.id).answers["words"]]
    assert len(answered) == len(set(answered)) < CASES
    again = compared(store, before.id, after.id, None)
    assert replace(again, candidate=verdict.candidate) == verdict
    assert not faults(store.file), "a suite that was not asked to its end is no fault"
    assert f"{words} of {CASES}" in outputs.as_text(outcome, 0)
    # The same plan once more has everything, and asks nothing.
    assert run(load_plan(str(plan)), out).verdicts == outcome.verdicts


def test_a_tag_none_of_whose_items_was_drawn_yet_is_open() -> None:
    comparison = drawn(sample(0.1, 0.1, 0), 63)
    series = replace(comparison.series["t.acc"], unasked=(frozenset({"rare"}),) * 7)
    comparison = replace(comparison, series={"t.acc": series})
    finding = found(comparison, Gate(metric="t.acc", margin=0.05, where=Where(tag="rare")))
    assert (finding.decision, finding.reason) == ("INCONCLUSIVE", "too few of its 7 items were asked to say anything.")
    with pytest.raises(HarnessError, match="no item has the tag 'rar', did you mean 'rare'"):
        found(comparison, Gate(metric="t.acc", margin=0.05, where=Where(tag="rar")))
