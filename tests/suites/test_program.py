"""Python of a suite: kept in a process of its own, with an end."""

import pytest

from suites import SuiteError, program
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
