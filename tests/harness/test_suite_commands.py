"""secateur suite: from the command line, on a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.commands import entry
from harness.models.opening import LoadedModel
from suites import load

TESTS = 6
SUITE = 'prompts: ["Say {{word}}"]\ntests:\n' + "".join(
    f"  - {{id: w{n}, vars: {{word: w{n}}}, tags: [{'even' if n % 2 == 0 else 'odd'}], max_new_tokens: 4,"
    f" assert: [{{type: regex, value: '{'.*' if n < 4 else '^no such answer$'}'}}]}}\n"
    for n in range(TESTS)
)


@pytest.fixture
def folder(tiny: Callable[[int], LoadedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny(0).model.save_pretrained(tmp_path / "model")
    tiny(0).tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "words.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run_asks_once_grades_and_says_what_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["suite", "run", "words.yaml", "--model", "./model"]
    assert entry([*command, "-q", "--tag", "odd"]) == 0
    said = capsys.readouterr().out
    assert "words: 3 cases, ./model" in said
    assert "passed 2 of 3 (66.7 %), mean score 0.667" in said
    assert "FAIL w5" in said
    assert entry([*command, "--fail-below", "0.9"]) == 1
    shown = capsys.readouterr()
    assert "passed 4 of 6" in shown.out
    assert "words" in shown.err
    assert entry([*command, "--json", "--case", "w[45]", "-q"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["passed"]) for row in rows["cases"]] == [("w4", False), ("w5", False)]
    # All is answered: the model is not asked again.
    assert entry(command) == 0
    assert "words" not in capsys.readouterr().err


def test_run_says_what_it_could_not_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "alone.yaml").write_text(
        "defaultTest: {max_new_tokens: 2}\ntests:\n"
        "- {vars: {prompt: a}, assert: [{type: length-ratio}, {type: pi}, {type: regex, value: '.*'}]}\n"
        "- {vars: {prompt: b}, assert: [{type: pi}]}\n"
    )
    assert entry(["suite", "run", "alone.yaml", "--model", "./model", "-q", "--skip-unsupported"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "alone: 1 cases, ./model",
        "passed 1 of 1 (100.0 %), mean score 1.000",
        "not checked: length-ratio 1, pi 1",
        "skipped in the whole suite: pi 2; 1 cases left out, which have no other assertion",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tag", "evn"], "words: no case has the tag 'evn', did you mean 'even'? there are: even, odd"),
        (["--case", "x*"], "words: no case is called 'x*'"),
        (["--failing-in", "abc"], "no store at out"),
        (["--first", "0"], "0 is not in the range x>=1"),
    ],
)
def test_a_choice_that_chooses_nothing(
    folder: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(["suite", "show", "words.yaml", *options]) == 3
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_only_what_failed_in_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = "name: p\noriginal: ./model\ncandidates: {same: {model: ./model}}\nsuites: [./words.yaml]\n"
    (folder / "plan.yaml").write_text(plan + "gates: [{metric: words.losses, max: 0}]\n")
    assert entry(["run", "plan.yaml", "-q"]) == 0
    capsys.readouterr()
    assert entry(["ls"]) == 0
    run = capsys.readouterr().out.split("\n")[1].split()[-1]
    assert entry(["suite", "show", "words.yaml", "--failing-in", run]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] == "w"] == ["w4", "w5"]
    (folder / "words.yaml").write_text(SUITE.replace("Say", "Write"))
    assert entry(["suite", "show", "words.yaml", "--failing-in", run]) == 3
    assert "has changed since run" in capsys.readouterr().err


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry(["suite", "list"]) == 0
    assert "smoke                      235 cases" in capsys.readouterr().out
    assert entry(["suite", "show", "smoke", "--case", "facts-capital-france"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "facts-capital-france [critical, easy, facts]",
        "  user: What is the capital of France?",
        '  assert icontains: value "Paris"',
    ]


def test_show_says_what_is_not_checked_and_what_is_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.py").write_text("def get_assert(output, context):\n    return True\n")
    stated = """[
      {type: python, value: file://c.py}, {type: llm-rubric, value: polite}, {type: not-equals, value: [1]},
      {type: javascript, value: output.length > 1}, {type: g-eval, value: kind, rubricPrompt: {steps: How?}},
    ]"""
    (folder / "code.yaml").write_text(f"prompts: [a]\ntests: [{{id: t, assert: {stated}}}]\n")
    assert entry(["suite", "show", "code.yaml", "--allow-code", "--skip-unsupported"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  assert python: value c.py:get_assert",
        '  assert llm-rubric: value "polite"',
        "  assert not-equals: value [1]",
        '  assert javascript: value "output.length > 1"',
        '  assert g-eval: value "kind", rubricPrompt {"steps":"How?"}',
    ]


def test_a_suite_from_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = 'question,answer,__metadata:tags[]\n"2, and 2?",4,"sums,easy"\nCapital of Peru?,Lima,\n'
    (folder / "t.csv").write_text(table)
    command = ["suite", "from-csv", "t.csv", "--prompt", "{{ question }}", "--expected"]
    assert entry([*command, "anser"]) == 3
    assert "no column 'anser', did you mean 'answer'?" in capsys.readouterr().err
    assert entry([*command, "answer", "--to", "made.yaml"]) == 0
    suite = load("made.yaml")
    assert [case.messages[0]["content"] for case in suite.cases] == ["2, and 2?", "Capital of Peru?"]
    assert [case.assertions[0].type for case in suite.cases] == ["icontains"] * 2
    assert suite.cases[0].tags == {"sums", "easy"}
    assert entry([*command, "answer", "--to", "made.yaml"]) == 3
    assert "is there already" in capsys.readouterr().err
