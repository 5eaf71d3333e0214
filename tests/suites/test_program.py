"""Python of a suite: kept in a process of its own, with an end."""

import pytest

from suites import Allowance, SuiteError, grade, load, program
from suites.program import Program, inline


def test_arguments_and_result_pass_as_json():
    function = Program("def twice(text, more):\n    print('noise')\n    return {text: more * 2}\n", "twice")
    assert function.result("ä", [1]) == {"ä": [1, 1]}


def test_it_imports_from_its_folder_and_nothing_of_ours(tmp_path):
    (tmp_path / "beside.py").write_text("WORD = 'found'\n", "utf-8")
    code = "def f():\n import beside\n try:\n  import errors\n except ImportError:\n  return beside.WORD\n"
    assert Program(code, "f", folder=str(tmp_path)).result() == "found"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def g(): return 1", "there is no function f"),
        ("def f(): return {1, 2}", "TypeError: Object of type set is not JSON serializable"),
        ("import os\ndef f(): os._exit(3)", "it ended with code 3"),
    ],
)
def test_what_fails_says_why(code, said):
    with pytest.raises(SuiteError) as error:
        Program(code, "f").result()
    assert str(error.value) == said


def test_it_ends_in_time(monkeypatch):
    monkeypatch.setattr(program, "SECONDS", 0.3)
    with pytest.raises(SuiteError, match=r"it took more than 0\.3 s"):
        inline("x = 1\nwhile True:\n    pass").result("answer", {})


CHECKS = """\
import beside

def get_assert(output, context):
    return {"pass": beside.WORD in output, "score": 0.5, "reason": context["vars"]["q"]}

def short(output, context):
    return len(output) < context["config"]["most"]
"""
SUITE = """\
prompts: "{{ q }}"
tests:
  - vars: {q: why}
    assert:
      - {type: python, value: file://checks.py}
      - {type: not-python, value: "file://checks.py:short", config: {most: 3}}
"""


def test_a_file_of_checks_runs_where_code_is_allowed(tmp_path):
    (tmp_path / "beside.py").write_text("WORD = 'found'\n", "utf-8")
    (tmp_path / "checks.py").write_text(CHECKS, "utf-8")
    (tmp_path / "s.yaml").write_text(SUITE, "utf-8")
    suite = load(tmp_path / "s.yaml", Allowance(code=True))
    graded = grade(suite.cases[0], "it was found")
    assert (graded.passed, graded.score, graded.checks[0].reason) == (True, 0.75, "why")
    assert not grade(suite.cases[0], "no").passed
    (tmp_path / "checks.py").write_text(CHECKS.replace("0.5", "0.6"), "utf-8")
    assert load(tmp_path / "s.yaml", Allowance(code=True)).digest != suite.digest


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("file://checks.py", "python cannot be checked here: it runs code of the suite; give --allow-code"),
        ("file://gone.py", "gone.py: no such file"),
        ("file://../checks.py", "'file://../checks.py' leads out of the suite's folder"),
        ("file://checks.ts", "'file://checks.ts': this kind of program is not supported; allowed: .py, .js"),
        ("output ==", "python: it is no Python on its line 1: invalid syntax"),
    ],
)
def test_a_program_that_cannot_run_is_refused_with_its_line(tmp_path, value, said):
    (tmp_path / "checks.py").write_text(CHECKS, "utf-8")
    (tmp_path / "s.yaml").write_text(f"tests:\n- vars: {{prompt: x}}\n  assert: [{{type: python, value: {value!r}}}]\n")
    with pytest.raises(SuiteError) as error:
        load(tmp_path / "s.yaml")
    assert "s.yaml:3: tests[0].assert[0]" in str(error.value)
    assert said in str(error.value)
