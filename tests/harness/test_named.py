"""Metrics that a suite names itself: paired by case, and gated like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.gates import Gate
from harness.inspection import refuse_impossible
from harness.plan import Plan
from harness.records import Answer, ModelSpec, Run
from harness.verdicts.compare import compare
from harness.verdicts.gate import judge
from suites import Suite, load

SUITE = """
prompts: ["{{q}}"]
derivedMetrics: [{name: twice, value: tone * 2}]
tests:
  - {id: a, tags: [x], vars: {q: a}, assert: [{type: contains, value: please, metric: tone, weight: 3},
      {type: contains, value: kind, metric: tone}, {type: contains, value: A}]}
  - {id: b, vars: {q: b}, assert: [{type: assert-set, assert: [{type: contains, value: kind, metric: tone}]}]}
  - {id: c, vars: {q: c}, assert: [{type: contains, value: C, metric: score}]}
  - {id: d, vars: {q: d}, assert: [{type: contains, value: kind, metric: tone, weight: 0}]}
"""
SAID = {"a": "please be kind A", "b": "kind", "c": "C", "d": "kind"}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    (tmp_path / "manners.yaml").write_text(SUITE)
    return load(tmp_path / "manners.yaml")


def run(name: str, said: dict[str, str | None]) -> Run:
    answers = [Answer(case, "p", text, "stop" if text else "error", 1, 1, 0.1) for case, text in said.items()]
    return Run(name, ModelSpec(name, name), "f", {"manners": tuple(answers)})


def test_a_name_is_a_metric_of_the_cases_that_have_it(suite: Suite) -> None:
    found = compare(run("original", dict(SAID)), run("small", {**SAID, "a": "please A", "b": None, "d": "no"}), [suite])
    tone = found.series["manners.tone"]
    assert tone.ids == ("a", "b", "d")
    assert np.array_equal(tone.before, [1.0, 1.0, 1.0])
    assert np.array_equal(tone.after, [0.75, 0.0, 0.0])
    assert tone.tags == (frozenset({"x"}), frozenset(), frozenset())
    assert found.deltas["manners.tone"].drop == pytest.approx(0.75)
    # The suite's own score keeps its name.
    assert found.series["manners.score"].ids == ("a", "b", "c", "d")
    verdict = judge(found, [Gate.model_validate({"metric": "manners.tone", "min": 0.9})])
    assert verdict.findings[0].delta.after == pytest.approx(0.25)


def test_a_gate_on_a_name_is_known_before_and_one_on_a_derived_metric_is_refused(suite: Suite, tmp_path: Path) -> None:
    def plan(metric: str) -> Plan:
        (tmp_path / "m").mkdir(exist_ok=True)
        for file in ("config.json", "w.safetensors"):
            (tmp_path / "m" / file).touch()
        model = {"model": str(tmp_path / "m")}
        gates = [{"metric": metric, "margin": 0.1}]
        return Plan.model_validate({"name": "p", "original": model, "candidates": {"c": model}, "gates": gates})

    refuse_impossible(plan("manners.tone"), [suite])
    with pytest.raises(
        HarnessError, match=r"has no value for a case, so nothing pairs; gate the metrics .*: score, tone"
    ):
        refuse_impossible(plan("manners.twice"), [suite])
    with pytest.raises(HarnessError, match=r"no such metric, did you mean 'tone'.*manners.losses, manners.tone"):
        refuse_impossible(plan("manners.tones"), [suite])
