"""A candidate against a result that was blessed: what pairs, what is left out, what gates may ask."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.gates import Gate
from harness.inspection import inspected
from harness.plan_file import load_plan
from harness.records import DIGEST, Answer, Item, Measurement, ModelSpec, Run
from harness.showing import outputs
from harness.showing.numbers import gate_row
from harness.verdicts.beside import beside
from harness.verdicts.compare import compare
from harness.verdicts.gate import Verdict, judge
from harness.verdicts.outcome import Outcome, rule
from suites import Suite, load
from suites.sampling import Repeat

PROD = "baseline:prod"
CASES = 60
RULES = {"pass_rate": {"margin": 0.05}, "losses": {"max": 0}}
PLAN = """\
{name: p, original: smollm2-135m, candidates: {small: {recipe: cfsp-05}}, suites: [./words.yaml], fidelity: {},
 metrics: [speed], against: [original, baseline:prod], gates: [GATE]}
"""


@pytest.fixture
def words(tmp_path: Path) -> Suite:
    """An answer is right if it has an x, and if it is the original's answer."""
    path = tmp_path / "words.yaml"
    check = "[{type: contains, value: x}, {type: first-divergence, threshold: 1}]"
    cases = [f"  - {{id: w{n}, vars: {{word: w{n}}}, assert: {check}}}" for n in range(CASES)]
    path.write_text("\n".join(["prompts: ['say {{word}}']", "tests:", *cases]))
    return load(str(path))


def run(name: str, suite: Suite, said: str, **more: object) -> Run:
    """A run whose answers are all `said`; more: id of a case -> another prompt, or the suite's digest."""
    digest = str(more.pop("digest", suite.digest))
    answers = [
        Answer(case.id, str(more.get(case.id, case.id)), said, "stop", 1, 1, 0.1, tokens=tuple(map(ord, said)))
        for case in suite.cases
    ]
    facts = {f"{suite.name}: {DIGEST}": digest}
    return Run(f"run-{name}", ModelSpec(name, "m"), "f", answers={suite.name: tuple(answers)}, facts=facts)


def documents(values: dict[str, tuple[str, float]], **changed: object) -> dict[str, Measurement]:
    """Id -> (hash, value) as the items of a benchmark."""
    items = tuple(Item(name, hashed, value) for name, (hashed, value) in values.items())
    fields: dict[str, object] = {"metric": "t.acc", "unit": "share", "higher_is_better": True, "scale": "binary"}
    one = Measurement(value=0.0, items=items, **{**fields, **changed})  # type: ignore[arg-type]
    return {one.metric: one}


def bare(name: str, measurements: dict[str, Measurement]) -> Run:
    return Run(f"run-{name}", ModelSpec(name, "m"), "f", measurements=measurements)


def test_cases_that_changed_since_are_counted_and_left_out(words: Suite) -> None:
    original, after = run("original", words, "x"), run("small", words, "x")
    stored = run("old", words, "x", digest="another", w3="asked otherwise", w4="and this")
    other = beside(PROD, stored, (original, after), [words])
    assert other.left_out == {"words": 2}
    assert other.comparison.deltas["words.pass_rate"].n == CASES - 2
    assert other.told == "baseline:prod: run run-old, as stored; changed or new since, words: 2 left out"


def test_of_an_unchanged_suite_all_cases_pair_whatever_the_templates_made_of_them(words: Suite) -> None:
    stored = run("old", words, "x", w3="[INST] w3")
    other = beside(PROD, stored, (run("original", words, "x"), run("small", words, "x")), [words])
    assert other.left_out == {"words": 0}


def test_a_case_that_is_asked_more_often_now_is_left_out(words: Suite) -> None:
    twice = replace(words, cases=(replace(words.cases[0], repeat=Repeat(n=2, min_pass=1)), *words.cases[1:]))
    stored, after = run("old", words, "x", digest="another"), run("small", twice, "x")
    assert beside(PROD, stored, (run("original", twice, "x"), after), [twice]).left_out == {"words": 1}


def test_assertions_refer_to_the_original_not_to_the_baseline(words: Suite) -> None:
    """The baseline said what the original does not say, so it fails; the candidate says what the original says."""
    stored = run("old", words, "yx")
    other = beside(PROD, stored, (run("original", words, "xy"), run("small", words, "xy")), [words])
    rate = other.comparison.deltas["words.pass_rate"]
    assert (rate.before, rate.after, rate.gains) == (0.0, 1.0, CASES)


def test_documents_pair_by_hash_and_what_the_candidate_lacks_is_failed() -> None:
    asked = {"0": ("a", 1.0), "1": ("b", 1.0), "2": ("c", 1.0)}
    stored = bare("old", documents({"0": ("a", 1.0), "1": ("other", 1.0), "2": ("c", 1.0), "9": ("z", 1.0)}))
    after = bare("small", documents({"0": ("a", 1.0), "1": ("b", 1.0)}))
    other = beside(PROD, stored, (bare("original", documents(asked)), after), [])
    delta = other.comparison.deltas["t.acc"]
    assert (other.left_out, delta.n, delta.losses, delta.unanswered) == ({"t.acc": 1}, 2, 1, 1)


def test_readings_of_a_machine_and_of_an_original_do_not_last() -> None:
    def readings(value: float) -> dict[str, Measurement]:
        names = ("size.bytes", "speed.decode", "memory.peak")
        meters = {name: Measurement(name, value, "", False, "reading") for name in names}
        return meters | documents({"0": ("a", value)}, metric="fidelity.kl", scale="graded")

    runs = bare("original", readings(3)), bare("small", readings(2))
    other = beside(PROD, bare("old", readings(4)), runs, [])
    assert list(other.comparison.deltas) == ["size.bytes"]
    assert other.comparison.deltas["size.bytes"].drop == -2


def judged(words: Suite, stored: Run, *gates: Gate) -> Verdict:
    """Of a candidate that says what its original says, which is wrong."""
    original, after = run("original", words, "o"), run("small", words, "o")
    others = [beside(PROD, stored, (original, after), [words])]
    return judge(compare(original, after, [words]), [Gate(metric="words.losses", max=0), *gates], others)


def test_a_gate_decides_against_the_baseline_it_names(words: Suite) -> None:
    alone = replace(words, cases=tuple(replace(case, assertions=case.assertions[:1]) for case in words.cases))
    gates = [Gate(metric=f"words.{name}", against=PROD, **rule) for name, rule in RULES.items()]
    verdict = judged(alone, run("old", words, "x"), *gates)
    assert [finding.decision for finding in verdict.findings] == ["PASS", "REGRESSION", "REGRESSION"]
    assert verdict.findings[1].gate.title == "words.pass_rate against baseline:prod"
    assert rule(verdict.findings[1].gate, "share") == "may get worse by less than 5 points"
    assert gate_row(verdict.findings[1]).where == "against baseline:prod"
    text, facts = as_both(verdict)
    assert "baseline:prod: run run-old, as stored" in text
    assert facts["beside"][PROD]["numbers"]["words.pass_rate"]["before"] == 1.0


def as_both(verdict: Verdict) -> tuple[str, dict[str, Any]]:
    outcome = Outcome("p", "j", (verdict,))
    return outputs.as_text(outcome, 1), json.loads(outputs.as_json(outcome))["candidates"]["small"]


def test_where_nothing_pairs_there_is_no_verdict(words: Suite) -> None:
    stored = run("old", words, "x", digest="another", **{case.id: "other" for case in words.cases})
    with pytest.raises(HarnessError, match=r"run run-old has no case or document of words\.pass_rate"):
        judged(words, stored, Gate(metric="words.pass_rate", margin=0.05, against=PROD))


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ("{metric: fidelity.kl, max: 0.1, against: baseline:prod}", "pairs with no other result"),
        ("{metric: speed.decode, min_ratio: 1, against: baseline:prod}", "depends on the machine and its moment"),
        ("{metric: words.pass_rate, min: 0.5, against: baseline:prod}", "looks at the candidate alone"),
        ("{metric: words.pass_rate, margin: 0.1, against: baseline:old}", "against baseline:old; list it"),
        ("{metric: words.pass_rate, margin: 0.1, against: prod}", "neither original nor baseline:NAME"),
        ("{metric: words.pass_rate, margin: 0.1}], sequential: true, x: [", "--sequential asks only"),
    ],
)
def test_what_no_stored_result_answers_is_refused(words: Suite, tmp_path: Path, gate: str, said: str) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN.replace("GATE", gate).replace(", x: []", ""))
    with pytest.raises(HarnessError, match=said):
        inspected(load_plan(str(tmp_path / "plan.yaml")))
