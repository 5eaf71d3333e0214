"""kl-max: both models read the original's answer, and what they would say next is compared token by token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.answering.generation import Prompt, answers
from harness.fidelity.answers import answer_divergences
from harness.history import publish
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.records import Answer, AnswerDivergence
from harness.stores.duckdb_store import DuckdbStore

ASKED = [Prompt(f"w{n}", [{"role": "user", "content": f"Say w{n}"}], 5) for n in range(3)]
SUITE = """\
defaultTest: {max_new_tokens: 5}
tests:
  - {id: w0, vars: {prompt: Say w0}, assert: [{type: kl-max, threshold: 0.001, value: max}]}
  - {id: w1, vars: {prompt: Say w1}, assert: [{type: kl-max, threshold: 1000}]}
"""
PLAN = """\
name: apart
original: ./model
candidates: {same: {model: ./model}, other: {model: ./other}}
suites: [./words.yaml]
gates: [{metric: words.losses, max: 0}]
"""


@pytest.fixture
def said(tiny: Callable[[int], LoadedModel]) -> list[Answer]:
    found: list[Answer] = []
    answers(tiny(0), ASKED, found.extend)
    return sorted(found, key=lambda answer: answer.case)


def divergences(models: tuple[LoadedModel, LoadedModel], said: list[Answer]) -> list[AnswerDivergence]:
    found: list[AnswerDivergence] = []
    answer_divergences(models, said, found.extend)
    return found


def test_the_divergence_is_that_of_both_whole_distributions(
    tiny: Callable[[int], LoadedModel], said: list[Answer]
) -> None:
    for one, answer in zip(divergences((tiny(0), tiny(1)), said), said, strict=True):
        assert answer.tokens
        asked = tiny(0).tokenizer(answer.prompt, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[*asked, *answer.tokens]])
        with torch.no_grad():
            old, new = (tiny(seed).model(ids).logits[0, len(asked) - 1 : -1].log_softmax(-1) for seed in (0, 1))
        wanted = torch.nn.functional.kl_div(new, old, log_target=True, reduction="none").sum(-1)
        assert one.kl == pytest.approx(wanted.tolist(), abs=1e-5)
        assert "".join(one.texts).strip() == answer.text or "\ufffd" in "".join(one.texts)


def test_a_model_is_no_way_from_itself_and_what_cannot_be_compared_is_passed_over(
    tiny: Callable[[int], LoadedModel], said: list[Answer]
) -> None:
    assert {number for one in divergences((tiny(0), tiny(0)), said) for number in one.kl} == {0.0}
    unknown = [replace(said[0], tokens=None), replace(said[1], tokens=())]
    assert divergences((tiny(0), tiny(1)), unknown) == [AnswerDivergence("w1", 0, (), ())]


def test_a_job_keeps_it_grades_by_it_and_shows_it(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    for number, name in enumerate(("model", "other")):
        tiny(number).model.save_pretrained(tmp_path / name)
        tiny(number).tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "words.yaml").write_text(SUITE)
    (tmp_path / "plan.yaml").write_text(PLAN)
    outcome = run(load_plan(str(tmp_path / "plan.yaml")), tmp_path / "out")
    assert [one.decision for one in outcome.verdicts] == ["PASS", "REGRESSION"]
    store = DuckdbStore(tmp_path / "out" / "secateur.duckdb")
    after = {run.model.name: store.run(run.id) for run in store.runs() if run.model.name != "original"}
    assert after["other"].spoken["words"].keys() == {("w0", 0), ("w1", 0)}
    reasons = store.file.rows("SELECT DISTINCT reason FROM checks WHERE NOT passed")
    assert len(reasons) == 1
    assert "the largest divergence of" in reasons[0][0]
    judged = replace(outcome, report=publish(store, store.jobs()[0], tmp_path / "page.html"))
    assert judged.report
