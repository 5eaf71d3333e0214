"""Every assertion type against its table of cases, plain and turned round."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suites import Check, Graded, Reply, SuiteError, assertion_names
from suites.allowance import CAREFUL
from suites.assertions import Not, load
from tests.suites.replay import facts_of

FILES = (Path(__file__).parent / "cases").glob("*.json")
TABLES = {file.stem.replace("_", ":"): json.loads(file.read_text("utf-8")) for file in FILES}
SLOW = ("meteor",)
"""Types that import NLTK, which takes seconds."""
CASES = [
    pytest.param(name, case, id=f"{name}: {case['why']}", marks=[pytest.mark.slow] if name in SLOW else [])
    for name, table in TABLES.items()
    for case in table
]


class SmallWordNet:
    """WordNet with one entry, in NLTK's words."""

    def synsets(self, word: str) -> list["SmallWordNet"]:
        return [self] if word == "auto" else []

    def lemmas(self) -> list["SmallWordNet"]:
        return [self]

    def name(self) -> str:
        return "car"


@pytest.fixture(autouse=True)
def _small_wordnet(monkeypatch):
    monkeypatch.setattr("suites.assertions.meteor._wordnet", SmallWordNet)


def test_every_type_has_cases_of_both_kinds():
    assert sorted(TABLES) == list(assertion_names())
    for name, table in TABLES.items():
        assert {case["passed"] for case in table} == {True, False}, name


def reply(text, graded=None, **facts):
    """A reply; lists of facts as the tuples that it holds, what it was graded as types and scores of checks."""
    known = facts_of(facts)
    if graded is not None:
        checks = tuple(Check(type, True, score, "why") for type, score in graded["checks"])
        known["graded"] = Graded(graded["passed"], graded["score"], checks)
    return Reply(text, **known)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_case(name, case):
    answer = reply(case["answer"], **case.get("facts", {}))
    original = reply(**case["original"]) if "original" in case else None
    check = load(name)(**case["options"]).check(answer, original)
    score = case.get("score", float(case["passed"]))
    assert (check.type, check.passed, check.score) == (name, case["passed"], pytest.approx(score, rel=1e-9, abs=1e-12))
    assert check.reason == case.get("reason", check.reason)
    assert check.reason
    turned = Not(load(name)(**case["options"])).check(answer, original)
    passed, score = case.get("turned", (not check.passed, 1 - check.score))
    assert (turned.type, turned.passed, turned.score) == (f"not-{name}", passed, pytest.approx(score, abs=1e-12))
    assert turned.reason == check.reason


WRONG = [
    ("rouge-n", ["a"], "rouge-n: the value must be text"),
    ("bleu", [], "bleu: the value must be text, or a list of it, not empty"),
    ("gleu", ["a", 1], "gleu: the value must be text, or a list of it, not empty"),
    ("levenshtein", 3, "levenshtein: the value must be text"),
    ("contains-json", {"type": "objekt"}, "contains-json: not a JSON Schema"),
    ("is-xml", {"elements": ["a"]}, "is-xml: the value must be a list of elements, such as [note.to]"),
    ("is-sql", {"databaseType": "Excel"}, "is-sql: unknown databaseType 'Excel'; allowed: athena, bigquery"),
    ("contains-sql", {"allowedTables": "a"}, "contains-sql: allowedTables and allowedColumns must be lists of text"),
    ("is-sql", {"allowedTables": ["("]}, "regex: pattern '(' is not valid"),
    ("finish-reason", 1, "finish-reason: the value must be text, such as stop or length"),
    ("python", "return return", "python: it is no Python on its line 1: invalid syntax"),
    ("python", "", "python: the value must be an expression, the body of a function, or file:// and a .py file"),
    ("same-answer", "letters", "same-answer: the value must be text, number, choice, json, or {pattern: a pattern}"),
    ("similar-to-original", "cosine", "similar-to-original: the value must be edit, embedding or rouge"),
    ("length-ratio", {"min": 3, "max": 2}, "length-ratio: min 3 must be 0 or more, and not more than max 2"),
    ("max-score", {"method": "median"}, "max-score: unknown method 'median'; allowed: average, sum"),
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


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["(", "<a>", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["min", "max", "pattern", "type", "weights", "$ref", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=ANYTHING, threshold=st.floats(allow_nan=False), text=st.text(max_size=20))
def test_every_type_takes_any_value_or_says_why_not(value, threshold, text):
    graded = Graded(True, 1.0, (Check("equals", True, 1.0, "why"),))
    answer = reply(text, seconds=1.0, cost=1.0, tokens=[1], logprobs=[-1e4])
    answer = replace(answer, graded=graded)
    for name in sorted({*assertion_names()} - {"meteor", "python", "javascript"}):
        known = {each.name for each in fields(load(name))}
        options = {"value": value, "threshold": threshold}
        try:
            check = load(name)(**{key: options[key] for key in known & options.keys()}).check(answer, answer)
        except SuiteError:
            continue
        assert check.reason
        assert check.score == check.score


def test_what_is_not_installed_is_a_need(monkeypatch):
    monkeypatch.setattr("suites.assertions.meteor._wordnet", lambda: None)
    missing = CAREFUL.missing(load("meteor")(value="a").needs)
    assert missing is not None
    assert missing.startswith("it needs NLTK's WordNet: python -m nltk.downloader wordnet")
    assert CAREFUL.missing({"sqlglot"}) == "it needs sqlglot: pip install 'secateur[sql]'"
    assert CAREFUL.missing(load("is-sql")().needs) is None


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
