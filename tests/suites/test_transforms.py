"""Transforms of answers: Python files and JavaScript, where code is allowed."""

import json
from pathlib import Path

import pytest

from suites import Allowance, grade, load

PYTHON = """\
def get_transform(output, context):
    return output.strip().upper()


def bracketed(output, context):
    return {"said": output, "asked": context["vars"]["q"]}
"""
BRACKETED = {"type": "equals", "value": {"said": "YES", "asked": "b"}, "transform": "file://t.py:bracketed"}
SUITE = {
    "prompts": ["{{ q }}"],
    "defaultTest": {"options": {"transform": "file://t.py"}},
    "tests": [
        {"vars": {"q": "a"}, "assert": [{"type": "equals", "value": "YES"}, {"type": "not-equals", "value": " yes"}]},
        {"vars": {"q": "b"}, "assert": [BRACKETED]},
    ],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "t.py").write_text(PYTHON)
    (tmp_path / "s.json").write_text(json.dumps(SUITE))
    return tmp_path / "s.json"


def test_python_from_a_file_that_of_the_assertion_after_the_default(file):
    suite = load(file, Allowance(code=True))
    assert [grade(case, " yes").passed for case in suite.cases] == [True, True]
    assert [grade(case, "no").passed for case in suite.cases] == [False, False]


def test_the_digest_follows_the_program(file):
    before = load(file, Allowance(code=True)).digest
    (file.parent / "t.py").write_text(PYTHON.replace("upper", "lower"))
    assert load(file, Allowance(code=True)).digest != before


def test_a_program_that_fails_fails_the_answer(file):
    (file.parent / "t.py").write_text(PYTHON.replace("output.strip().upper()", "output.nothing()"))
    graded = grade(load(file, Allowance(code=True)).cases[0], "yes")
    assert not graded.passed
    assert "the code failed: AttributeError" in graded.reason


def test_javascript_in_the_suite(file):
    pytest.importorskip("py_mini_racer")
    file.write_text(file.read_text().replace('"file://t.py"', '"output.trim().toUpperCase()"'))
    assert grade(load(file, Allowance(code=True)).cases[0], " yes").passed


def test_what_is_no_text_goes_on_as_it_is(file):
    pytest.importorskip("py_mini_racer")
    stated = [
        {"type": "is-json", "value": {"required": ["colour"]}},
        {"type": "javascript", "value": "output.colour === 'red' && output.places.includes('Peru')"},
        {"type": "python", "value": "output['colour'] == 'red'"},
        {"type": "contains-any", "transform": "output.places", "value": ["Peru", "Chile"]},
    ]
    tests = [{"options": {"transform": "JSON.parse(output)"}, "assert": stated}]
    file.write_text(json.dumps({"prompts": ["a"], "tests": tests}))
    (case,) = load(file, Allowance(code=True)).cases
    assert grade(case, '{"colour": "red", "places": ["Peru"]}').reason == ""
    assert [check.passed for check in grade(case, '{"colour": "red", "places": ["Oslo"]}').checks] == [
        True,
        False,
        True,
        False,
    ]
