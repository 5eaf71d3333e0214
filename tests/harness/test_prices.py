"""What an answer costs, and that a suite may limit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.inspection import inspected
from harness.models.opening import LoadedModel
from harness.pipeline import run
from harness.plan_file import load_plan
from harness.prices import charge
from harness.records import Answer, Price
from harness.stores.duckdb_store import DuckdbStore

ANSWER = Answer("a", "p", "text", "stop", prompt_tokens=1000, new_tokens=500, seconds=36.0)
SUITE = """\
defaultTest: {max_new_tokens: 4}
tests:
  - {id: cheap, vars: {prompt: Hi}, assert: [{type: cost, threshold: 4}]}
  - {id: dear, vars: {prompt: Hi}, assert: [{type: cost, threshold: 0.5}]}
"""
PLAN = """\
name: priced
original: ./model
candidates: {same: {model: ./model}}
suites: [./words.yaml]
gates: [{metric: words.losses, max: 0}]
"""


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        (Price(per_hour=2.0), 0.02),
        (Price(input_tokens=3.0), 0.003),
        (Price(input_tokens=3.0, output_tokens=10.0), 0.008),
        (Price(per_hour=2.0, output_tokens=10.0), 0.005),
    ],
)
def test_by_tokens_where_the_price_is_of_tokens_else_by_the_hour(price: Price, cost: float) -> None:
    assert charge(ANSWER, price) == pytest.approx(cost)


def test_a_plan_hands_its_price_to_grading(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "words.yaml").write_text(SUITE)
    (tmp_path / "plan.yaml").write_text(PLAN)
    with pytest.raises(
        HarnessError, match="cost cannot be checked here: it needs the price of an answer; the plan gives"
    ):
        inspected(load_plan(str(tmp_path / "plan.yaml")))
    # 1 for each token that is written, of which there are at most four.
    (tmp_path / "plan.yaml").write_text(PLAN + "price: {per_million_output_tokens: 1.0e+6}\n")
    outcome = run(load_plan(str(tmp_path / "plan.yaml")), tmp_path / "out")
    assert [one.decision for one in outcome.verdicts] == ["PASS"]
    rows = DuckdbStore(tmp_path / "out" / "secateur.duckdb").file.rows("SELECT DISTINCT case_id, passed FROM checks")
    assert sorted(rows) == [("cheap", True), ("dear", False)]
