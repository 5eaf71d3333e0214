"""Tables of tests: what their columns mean, and what is said of those that are wrong."""

import pytest

from suites import SuiteError, load
from suites.expected import assertion_of

CELLS = [
    ("Paris", {"type": "equals", "value": "Paris"}),
    (" contains: Paris ", {"type": "contains", "value": "Paris"}),
    ("not-icontains:a:b", {"type": "not-icontains", "value": "a:b"}),
    ("is-json", {"type": "is-json"}),
    ("note: no type", {"type": "equals", "value": "note: no type"}),
    ("contains-any: a, b", {"type": "contains-any", "value": "a, b"}),
    ("fn: output.length", {"type": "javascript", "value": "output.length"}),
    ("grade: is it polite", {"type": "llm-rubric", "value": " is it polite"}),
    ("file://check.py:polite", {"type": "python", "value": "file://check.py:polite"}),
    ("similar(0.9): near", {"type": "similar", "value": "near", "threshold": 0.9}),
    ("similar: near", {"type": "similar", "value": "near", "threshold": 0.8}),
    ("", {"type": "equals", "value": ""}),
]


@pytest.mark.parametrize(("cell", "stated"), CELLS, ids=[cell for cell, _ in CELLS])
def test_a_cell_states_an_assertion(cell, stated):
    assert assertion_of(cell) == stated


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes) -> str:
        (tmp_path / "t.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        return "t.csv"

    return write


def test_a_table_alone_is_a_suite(table):
    text = 'prompt,__expected,__metadata:tags[]\n"a, {{ x }}",x,"one,two\\,three"\n\nb,,\n'
    suite = load(table("\ufeff" + text.replace("{{ x }}", "{{ '1' }}")))
    assert [case.messages[0]["content"] for case in suite.cases] == ["a, 1", "b"]
    assert [case.description for case in suite.cases] == ["Row #1", "Row #2"]
    assert [sorted(case.tags) for case in suite.cases] == [["one", "two,three"], []]
    assert [len(case.assertions) for case in suite.cases] == [1, 0]


WRONG = [
    ("a\nb,c\n", "t.csv:2: 2 cells, the header has 1"),
    ("prompt,__expectd\na,b\n", "t.csv:1: column '__expectd': allowed: __expected, __expected1 and so on, "),
    ("prompt,_expected\na,b\n", "t.csv:1: column '_expected': did you mean '__expected'?"),
    ("a,b,a\n1,2,3\n", "t.csv:1: column 'a' is given twice"),
    ("prompt,__threshold\na,high\n", "t.csv:2: a threshold must be a number, found 'high'"),
    ("prompt,__providerOutput\na,b\n", "t.csv:2: __providerOutput: an answer given beforehand"),
    ("prompt,__expected\n\na,regex: (\n", "t.csv:3: assert[0]: regex: pattern '(' is not valid"),
    ("", "t.csv: the file is empty"),
    (b"prompt\ncaf\xe9\n", "t.csv: byte 0xe9 is not UTF-8"),
    ('prompt\n"' + "a" * 200_000, "t.csv:2: not a table: field larger than field limit (131072)"),
    ("prompt\n" + "a" * 5_000_000, "t.csv: a row of more than 4194304 characters"),
    ("a" + ",a" * 1_000, "t.csv:1: 1001 columns"),
]


@pytest.mark.parametrize(("content", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_table(table, content, message):
    with pytest.raises(SuiteError) as error:
        load(table(content))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
