"""Ours against promptfoo itself, which recorded what it says of the same cases: tests/conformance/record.mjs."""

import hashlib
import json
from pathlib import Path

import pytest

from suites import Allowance, Reply, grade, load
from suites.assertions import build
from tests.suites.replay import facts_of

HERE = Path(__file__).parent
RECORD = json.loads((HERE / "promptfoo.json").read_text("utf-8"))


def type_of(file):
    return file.stem.replace("_", ":")


CASES = [
    pytest.param(form, row, id=f"{form}: {row['why']}")
    for file in sorted((HERE / "cases").glob("*.json"))
    for row in json.loads(file.read_text("utf-8"))
    for form in (type_of(file), f"not-{type_of(file)}")
    if form in RECORD
]
OURS = ("first-divergence", "kl-max", "latency-ratio", "length-ratio", "max-score", "not-worse-than-original")
OURS += ("same-answer", "same-verdict", "select-best", "similar-to-original")
"""Types that hold an answer against the original's."""
OTHERWISE = ("context-faithfulness", "context-recall", "context-relevance")
"""Types of which the judge is asked for another form of reply, so that one cannot be replayed to both."""
NEVER_TURNED = ("answer-relevance", "factuality", "model-graded-closedqa", "model-graded-factuality")
"""Types whose `not-` form promptfoo grades as the plain one."""
TESTS = json.loads((HERE / "tests.json").read_text("utf-8"))


def recorded(key, row):
    """What promptfoo said of a row; a changed answer asks for a new record."""
    said = RECORD[key].get(row["why"])
    assert said is not None, f"{key}: {row['why']} is not recorded; run tests/conformance/record.mjs"
    assert said["of"] == hashlib.sha256(row["answer"].encode()).hexdigest()[:8], "the answer changed; record it again"
    return said


def reply_of(row):
    return Reply(row["answer"], **facts_of(row.get("facts", {})))


@pytest.mark.parametrize(("form", "row"), CASES)
def test_every_type_says_what_promptfoo_says(form, row):
    said = recorded(form, row)
    check = build(form, row["options"]).check(reply_of(row), None)
    if form.removeprefix("not-") in NEVER_TURNED and form.startswith("not-"):
        assert said == recorded(form.removeprefix("not-"), row), "no difference any more"
        assert check.passed is not said["passed"]
    elif "differs" in row:
        ours = build(form.removeprefix("not-"), row["options"]).check(reply_of(row), None)
        theirs = RECORD[form.removeprefix("not-")][row["why"]]
        assert "error" in theirs or ours.passed is not theirs["passed"], "no difference any more"
    else:
        assert (check.passed, check.score) == (said["passed"], pytest.approx(said["score"], abs=1e-9)), check.reason


@pytest.mark.parametrize("row", TESTS, ids=[row["why"] for row in TESTS])
def test_whole_tests_come_to_what_promptfoo_says(tmp_path, row):
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"prompts": ["?"], "tests": [row["test"]]}), "utf-8")
    graded = grade(load(file, Allowance(code=True)).cases[0], row["answer"])
    said = recorded("tests", row)
    assert (said["passed"], said["score"]) == (row["passed"], pytest.approx(row["score"], abs=1e-9))
    assert (graded.passed, graded.score) == (row["passed"], pytest.approx(row["score"], abs=1e-9))


def test_every_type_of_promptfoo_is_recorded_but_one():
    ours = {type_of(file) for file in (HERE / "cases").glob("*.json")}
    assert {name for name in ours if name not in RECORD} == {"meteor", *OURS, *OTHERWISE}
