"""Every assertion type against its table of cases, plain and turned round."""

import json
from pathlib import Path

import pytest

from suites import Reply, SuiteError, assertion_names
from suites.assertions import Not, load

TABLES = {file.stem: json.loads(file.read_text("utf-8")) for file in (Path(__file__).parent / "cases").glob("*.json")}
CASES = [pytest.param(name, case, id=f"{name}: {case['why']}") for name, table in TABLES.items() for case in table]


def test_every_type_has_cases_of_both_kinds():
    assert sorted(TABLES) == list(assertion_names())
    for name, table in TABLES.items():
        assert {case["passed"] for case in table} == {True, False}, name


@pytest.mark.parametrize(("name", "case"), CASES)
def test_case(name, case):
    check = load(name)(**case["options"]).check(Reply(case["answer"]), None)
    assert (check.type, check.passed, check.score) == (name, case["passed"], float(case["passed"]))
    assert check.reason == case.get("reason", check.reason)
    assert check.reason
    turned = Not(load(name)(**case["options"])).check(Reply(case["answer"]), None)
    assert (turned.type, turned.passed, turned.score) == (f"not-{name}", not check.passed, 1 - check.score)
    assert turned.reason == check.reason


WRONG = [
    ("contains", "", "contains: the value must be text, not empty, or a number"),
    ("contains", ["a"], "contains: the value must be text, not empty, or a number"),
    ("contains", True, "contains: the value must be text, not empty, or a number"),
    ("icontains-all", [], "icontains-all: the value must be a list, not empty, or values between commas"),
    ("contains-any", ["a", ""], "contains-any: the value must be text, not empty, or a number"),
    ("contains-any", "a,,b", "contains-any: the value must be text, not empty, or a number"),
    ("starts-with", 3, "starts-with: the value must be text, not empty"),
    ("equals", None, "equals: the value must be text, a number, true or false, a list or a mapping"),
    ("regex", "(", "regex: pattern '(' is not valid: missing ) at position 1"),
    ("word-count", -1, "word-count: the number of words must be a whole number, 0 or more"),
    ("word-count", 2.5, "word-count: the number of words must be a whole number, 0 or more"),
    ("word-count", {"min": 3, "max": 2}, "word-count: min 3 is more than max 2"),
    ("word-count", {"least": 3}, "word-count: the value must be a whole number, or a mapping with min, max or both"),
    ("is-json", [1], "is-json: the value must be a JSON Schema, a mapping"),
    ("is-json", {"type": "objekt"}, "is-json: not a JSON Schema"),
    ("is-json", {"pattern": "["}, "is-json: not a JSON Schema"),
    ("is-json", {"patternProperties": {"a": {}}}, "is-json: patternProperties is not supported"),
    ("is-json", {"$ref": "#/definitions/x"}, "is-json: $ref '#/definitions/x' is not in the schema"),
    ("is-json", {"$ref": "file:///etc/passwd"}, "is-json: $ref 'file:///etc/passwd' is not in the schema"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_value_it_cannot_use(name, value, message):
    with pytest.raises(SuiteError) as error:
        load(name)(value=value)
    assert str(error.value).startswith(message)


def test_pattern_without_end_is_an_error_and_neither_pass_nor_fail():
    with pytest.raises(SuiteError, match=r"took more than 1 s on an answer of 41 characters"):
        Not(load("regex")(value="^(a|a)+$")).check(Reply("a" * 40 + "!"), None)
    with pytest.raises(SuiteError, match="took more than 1 s"):
        load("is-json")(value={"pattern": "^(a|a)+$"}).check(Reply(json.dumps("a" * 40 + "!")), None)


def test_schema_that_refers_to_itself_is_an_error():
    with pytest.raises(SuiteError, match="refers to itself without end"):
        load("is-json")(value={"$ref": "#"}).check(Reply("1"), None)
