"""A job whose cases are asked several times, on a tiny model: real answers, a real store, a real page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.asking import asked
from harness.inspection import inspected, loaded_suites
from harness.models.opening import LoadedModel
from harness.models.subject import Subject
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.progress import silent
from harness.records import Answer, ModelSpec
from harness.showing import outputs
from harness.stores.duckdb_store import DuckdbStore
from harness.trial import _Kept as Kept

SUITE = """\
prompts: ["Say {{word}}"]
defaultTest: {max_new_tokens: 6, assert: [{type: regex, value: "[A-Za-z]"}]}
tests:
  - {id: one, vars: {word: one}}
  - {id: two, vars: {word: two}, repeat: {n: 2}}
  - {id: three, vars: {word: three}}
"""
PLAN = """\
name: drawn
original: ./model
candidates: {same: {model: ./model}}
suites: [./words.yaml]
sampling: {temperature: 1.5, seed: 7}
repeat: {n: 4, min_pass: 3}
gates:
  - {metric: words.pass_rate, margin: 0.5}
  - {metric: words.case_rate, margin: 0.5, severity: warn}
"""


@pytest.fixture(scope="module")
def place(tiny: Callable[[int], LoadedModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    tiny(0).model.save_pretrained(folder / "model")
    tiny(0).tokenizer.save_pretrained(folder / "model")
    (folder / "words.yaml").write_text(SUITE)
    (folder / "plan.yaml").write_text(PLAN)
    return folder


def test_a_job_asks_each_case_as_often_as_wanted(place: Path) -> None:
    plan = load_plan(str(place / "plan.yaml"))
    assert "suite words: 3 cases, 10 answers" in inspected(plan)
    outcome = run(plan, place / "out")
    store = DuckdbStore(place / "out" / "secateur.duckdb")
    row = store.verdicts(outcome.job)[0]
    before, after = store.run(row.before_run), store.run(row.after_run)
    said = {(answer.case, answer.repeat): answer.text for answer in before.answers["words"]}
    assert sorted(said) == sorted([(case, n) for case in ("one", "three") for n in range(4)] + [("two", 0), ("two", 1)])
    assert len(set(said.values())) > 5
    assert {(answer.case, answer.repeat): answer.text for answer in after.answers["words"]} == said
    assert before.facts["words: decoding"].startswith("temperature 1.5, top_p 1, seed 7")
    (verdict,) = outcome.verdicts
    assert verdict.findings[0].delta.n == 3
    assert verdict.flaky
    assert all(" of 4 before, " in line or " of 2 before, " in line for line in verdict.flaky)
    assert f"flaky, some answers to a case pass and some do not: {verdict.flaky[0]}" in outputs.as_text(outcome, 0)
    assert json.loads(outputs.as_json(outcome))["candidates"]["same"]["flaky"] == list(verdict.flaky)
    flaky = store.frame("grades")
    flaky = flaky[(flaky["passes"] > 0) & (flaky["passes"] < flaky["tries"]) & (flaky["run"] == after.id)]
    assert sorted(f"words/{case}" for case in flaky["case_id"]) == sorted(
        line.partition(":")[0] for line in verdict.flaky
    )
    page = (place / "out" / "report.html").read_text()
    assert "flaky, some answers to a case pass" in page
    assert "greedy, but for suites that are sampled: words" in page


def test_nothing_is_asked_twice(place: Path, tmp_path: Path) -> None:
    """Interrupted between repeats or cases, the same command asks for what is left."""
    (suite,) = loaded_suites(load_plan(str(place / "plan.yaml")))
    store = DuckdbStore(tmp_path / "s.duckdb")
    subject = Subject(ModelSpec("original", str(place / "model")), silent)

    def answered() -> dict[tuple[str, int], Answer]:
        stages = asked(subject, suite, suite.cases, Kept(store, silent))
        return {(one.case, one.repeat): one for stage in stages for one in store.answers(stage)}

    first = asked(subject, suite, suite.cases[:1], Kept(store, silent))
    begun = {(one.case, one.repeat): one for stage in first for one in store.answers(stage)}
    assert sorted(begun) == [("one", n) for n in range(4)]
    whole = answered()
    assert len(whole) == 10
    assert {key: whole[key] for key in begun} == begun, "with the seconds of the first time"
    assert answered() == whole


def test_greedy_answers_are_not_repeated_and_it_is_said(place: Path) -> None:
    (place / "greedy.yaml").write_text(
        PLAN.replace("sampling: {temperature: 1.5, seed: 7}\n", "").replace("case_rate", "score")
    )
    outcome = run(load_plan(str(place / "greedy.yaml")), place / "greedy")
    said = "words: 3 cases are asked once, not again: greedy answers are the same every time; give sampling"
    assert outcome.not_checked == (said,)
    assert said in (place / "greedy" / "report.html").read_text()
    assert outcome.verdicts[0].flaky == ()
