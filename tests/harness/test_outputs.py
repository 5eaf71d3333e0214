"""Text, JSON, JUnit and Markdown say the same verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.gates import Gate
from harness.showing import outputs
from harness.showing.github import annotated
from harness.showing.overview import in_words, reason
from harness.showing.remarks import remarks
from harness.showing.sarif import write_sarif
from harness.statistics.delta import Delta
from harness.verdicts.finding import Finding
from harness.verdicts.gate import Verdict
from harness.verdicts.outcome import Outcome, sentence, worst

DELTA = Delta("s.pass_rate", "share", "drop", 0.8, 0.7, 0.1, 0.1, 0.02, 0.18, 100, 100, "Tango score")


def finding(decision: str, severity: str = "block") -> Finding:
    gate = Gate(metric="s.pass_rate", margin=0.05, severity=severity)
    return Finding(gate, decision, "the drop | is <b>10.0</b> points\x00\uffff", DELTA, severity)  # type: ignore[arg-type]


@pytest.fixture
def outcome() -> Outcome:
    bad = Verdict("bad", "REGRESSION", (finding("REGRESSION"), finding("REGRESSION", "warn")))
    unclear = Verdict("unclear", "INCONCLUSIVE", (finding("INCONCLUSIVE"), finding("PASS")))
    return Outcome("p", "j", (bad, unclear), {"gone": "no such folder"})


def test_exit_code_is_the_worst() -> None:
    good, unclear, bad = (Verdict(d, d, (finding(d),)) for d in ("PASS", "INCONCLUSIVE", "REGRESSION"))
    assert Outcome("p", "j", (good,)).exit_code == 0
    assert Outcome("p", "j", (good, unclear)).exit_code == 2
    assert Outcome("p", "j", (unclear, bad)).exit_code == 1
    assert Outcome("p", "j", (bad,), {"x": "y"}).exit_code == 3
    assert worst(["PASS", "INCONCLUSIVE"]) == "INCONCLUSIVE"


def test_a_candidate_that_only_warns_decides_nothing_and_says_so(tmp_path: Path) -> None:
    good = Verdict("good", "PASS", (finding("PASS"),))
    bad = Verdict("bad", "REGRESSION", (finding("REGRESSION"),), severity="warn")
    outcome = Outcome("p", "j", (bad, good), {"gone": "no such folder"}, warning_only=frozenset({"bad", "gone"}))
    assert outcome.exit_code == 0
    assert Outcome("p", "j", (bad,), {"good": "why"}, warning_only=frozenset({"bad"})).exit_code == 3
    text = outputs.as_text(outcome, 0)
    assert "bad: REGRESSION (warning only)" in text
    assert "gone: could not finish (warning only): no such folder" in text
    assert sentence([bad]).startswith("Warning only. s.pass_rate: ")
    assert sentence([bad, good]) == "bad: REGRESSION (warning only), good: PASS."
    assert in_words([bad, good]) == "good keeps to its gates"
    assert reason([bad, good]) == "All 1 blocking gates pass. Exit code 0."
    assert json.loads(outputs.as_json(outcome))["candidates"]["bad"]["severity"] == "warn"
    assert {remark.level for remark in remarks(outcome, "demo")} == {"note"}
    outputs.write_junit(outcome, tmp_path / "j.xml")
    found = {suite.get("name"): suite for suite in ElementTree.parse(tmp_path / "j.xml").getroot()}
    assert [(found[name].get("failures"), found[name].get("skipped")) for name in ("bad", "gone")] == [("0", "1")] * 2
    assert found["gone"].get("errors") == "0"


def test_junit_counts(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "j.xml"
    outputs.write_junit(outcome, path)
    suites = {suite.get("name"): suite for suite in ElementTree.parse(path).getroot()}
    assert (suites["bad"].get("failures"), suites["bad"].get("skipped")) == ("1", "1")
    assert (suites["unclear"].get("failures"), suites["unclear"].get("skipped")) == ("0", "1")
    assert suites["gone"].get("errors") == "1"
    assert list(tmp_path.iterdir()) == [path]


def test_json_holds_the_numbers(outcome: Outcome) -> None:
    content = json.loads(outputs.as_json(outcome))
    first = content["candidates"]["bad"]["findings"][0]
    assert (first["low"], first["high"], first["n"]) == (0.02, 0.18, 100)
    assert content["exit_code"] == 3


def test_markdown_is_appended_and_pipes_escaped(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    outputs.append_markdown(outcome, path)
    text = path.read_text()
    assert text.startswith("before\n## secateur: p")
    assert "| s.pass_rate | 80.0 % | 70.0 % |" in text
    assert "gone: could not finish: no such folder" in text
    assert "<b>" not in text


def test_text_names_every_candidate(outcome: Outcome) -> None:
    text = outputs.as_text(outcome, 3)
    assert "bad: REGRESSION" in text
    assert "unclear: INCONCLUSIVE" in text
    assert "REGRESSION (warning only)" in text


def test_sarif_has_a_result_for_each_gate_that_did_not_pass(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The members that SARIF 2.1.0 requires: version, runs, tool.driver.name, id of a rule, text of a message."""
    monkeypatch.chdir(tmp_path)
    Path("a plan.yaml").write_text("name: p\ngates:\n  - {metric: s.pass_rate}\n\n  - {metric: s.pass_rate}\n")
    write_sarif(outcome, "a plan.yaml", tmp_path / "out.sarif")
    content = json.loads((tmp_path / "out.sarif").read_text())
    (run,) = content["runs"]
    driver, results = run["tool"]["driver"], run["results"]
    assert (content["version"], driver["name"]) == ("2.1.0", "secateur")
    assert [rule["id"] for rule in driver["rules"]] == ["s.pass_rate", "could not finish"]
    assert [one["level"] for one in results] == ["error", "note", "warning", "error"]
    assert [driver["rules"][one["ruleIndex"]]["id"] for one in results] == [one["ruleId"] for one in results]
    places = [one["locations"][0]["physicalLocation"] for one in results]
    assert {place["artifactLocation"]["uri"] for place in places} == {"a%20plan.yaml"}
    assert [place["region"]["startLine"] for place in places] == [3, 5, 3, 1]
    assert results[3]["message"]["text"] == "gone: could not finish: no such folder"
    write_sarif(outcome, "demo", tmp_path / "out.sarif")
    assert not any("locations" in one for one in json.loads((tmp_path / "out.sarif").read_text())["runs"][0]["results"])


def test_annotations_stand_at_the_gates_lines_and_escape_what_means_something(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b.yaml").write_text("name: p\ngates:\n  - {metric: s.pass_rate}\n\n  - {metric: s.pass_rate}\n")
    reason = "the drop | is <b>10.0</b> points\x00\uffff"
    assert list(annotated(outcome, "a,b.yaml")) == [
        f"::error file=a%2Cb.yaml,line=3,title=bad%3A s.pass_rate%3A REGRESSION::{reason}",
        f"::notice file=a%2Cb.yaml,line=5,title=bad%3A s.pass_rate%3A REGRESSION::{reason}",
        f"::warning file=a%2Cb.yaml,line=3,title=unclear%3A s.pass_rate%3A INCONCLUSIVE::{reason}",
        "::error file=a%2Cb.yaml,title=gone%3A could not finish::no such folder",
    ]
    failed = Outcome("p", "j", (), {"gone": "100 %\n::error::mine"})
    assert list(annotated(failed, "demo")) == ["::error title=gone%3A could not finish::100 %25%0A::error::mine"]


def test_flaky_cases_are_named_a_few_of_them(outcome: Outcome) -> None:
    flaky = tuple(f"words/c{n}: 1 of 2 before" for n in range(7))
    verdict = replace(outcome.verdicts[0], flaky=flaky)
    (line,) = outputs.flaky_lines(verdict)
    assert line.count("1 of 2 before") == 5
    assert line.endswith("; and 2 more")
    assert outputs.flaky_lines(outcome.verdicts[0]) == []
