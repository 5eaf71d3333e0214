"""Promptfoo's rules of aggregation, by hand calculation."""

import pytest

from suites import Case, Check, SuiteError, grade
from suites.assertions import Unchecked, load
from suites.combining import Asserted, AssertSet

ANSWER = "cat dog"


def asserted(word: str, weight: float = 1.0, metric: str | None = None) -> Asserted:
    return Asserted("contains", load("contains")(value=word), weight, metric)


def case(*assertions: Asserted, threshold: float | None = None) -> Case:
    return Case("a", [{"role": "user", "content": "?"}], assertions=assertions, threshold=threshold)


TABLE = [
    ("no assertion", [], None, True, 1.0),
    ("one holds", [("cat", 1)], None, True, 1.0),
    ("one of two holds", [("cat", 1), ("cow", 1)], None, False, 1 / 2),
    ("weights 3 and 1", [("cat", 3), ("cow", 1)], None, False, 3 / 4),
    ("score equal to the threshold", [("cat", 3), ("cow", 1)], 0.75, True, 3 / 4),
    ("score below the threshold", [("cat", 3), ("cow", 1)], 0.76, False, 3 / 4),
    ("a threshold of 0 always passes", [("cow", 1)], 0.0, True, 0.0),
    ("a threshold above 1 never does", [("cat", 1)], 1.5, False, 1.0),
    ("weight 0 cannot fail a case", [("cat", 1), ("cow", 0)], None, True, 1.0),
    ("all weights 0: passed with score 0", [("cat", 0), ("cow", 0)], None, True, 0.0),
    ("all weights 0 against a threshold", [("cat", 0)], 0.5, False, 0.0),
    ("fractions", [("cat", 0.5), ("dog", 0.25), ("cow", 0.25)], None, False, 3 / 4),
]


@pytest.mark.parametrize(("why", "rules", "threshold", "passed", "score"), TABLE, ids=[row[0] for row in TABLE])
def test_aggregation(why, rules, threshold, passed, score):
    graded = grade(case(*(asserted(word, weight) for word, weight in rules), threshold=threshold), ANSWER)
    assert (graded.passed, graded.score) == (passed, pytest.approx(score, abs=1e-12))
    assert bool(graded.reason) is not passed


def a_set(*members: Asserted, threshold: float | None = None, weight: float = 1.0) -> Asserted:
    return Asserted("assert-set", AssertSet(members, threshold), weight)


SETS = [
    ("all hold", a_set(asserted("cat"), asserted("dog")), True, 1.0),
    ("one of two holds", a_set(asserted("cat"), asserted("cow")), False, 1 / 2),
    ("its own threshold is reached", a_set(asserted("cat"), asserted("cow"), threshold=0.5), True, 1 / 2),
    ("its own threshold is not", a_set(asserted("cat", 3), asserted("cow"), threshold=0.8), False, 3 / 4),
    ("a member of weight 0 cannot fail it", a_set(asserted("cat"), asserted("cow", 0)), True, 1.0),
    ("a set of weight 0 can fail the case", a_set(asserted("cow"), weight=0), False, 0.0),
]


@pytest.mark.parametrize(("why", "given", "passed", "score"), SETS, ids=[row[0] for row in SETS])
def test_a_set_counts_as_one_assertion(why, given, passed, score):
    graded = grade(case(given), ANSWER)
    assert (graded.passed, graded.score) == (passed, pytest.approx(score, abs=1e-12))
    halved = grade(case(given, asserted("cow", given.weight)), ANSWER)
    assert halved.score == pytest.approx(score / 2, abs=1e-12)


def test_the_checks_of_a_set_come_after_it():
    checks = grade(case(a_set(asserted("cat"), asserted("cow")), asserted("dog")), ANSWER).checks
    assert [(check.type, check.passed) for check in checks] == [
        *(("assert-set", False), ("contains", True), ("contains", False), ("contains", True)),
    ]


def test_what_is_not_checked_counts_for_nothing():
    skipped = Asserted("not-ruby", Unchecked("not-ruby", "why"), 5.0)
    graded = grade(case(skipped, asserted("cat"), a_set(skipped), a_set(skipped, asserted("cow"))), ANSWER)
    assert (graded.passed, graded.score) == (False, 1 / 2)
    assert [check.checked for check in graded.checks] == [False, True, False, False, True, False, True]
    assert graded.checks[0].reason == "not checked: why"
    assert grade(case(skipped), ANSWER).passed


def test_checks_carry_weight_metric_and_evidence():
    graded = grade(case(asserted("cow", 0, "farm"), asserted("cat", 2)), ANSWER)
    assert graded.checks == (
        Check("contains", True, 0.0, "the answer does not contain 'cow'", 0, "farm"),
        Check("contains", True, 1.0, "the answer contains 'cat'", 2),
    )


@pytest.mark.parametrize("given", [case(), case(asserted("cat", 0)), case(asserted("cat"), threshold=0.0)])
def test_no_answer_fails_whatever_is_asked(given):
    graded = grade(given, None)
    assert (graded.passed, graded.score, graded.reason) == (False, 0.0, "not answered")
    assert [(check.passed, check.reason) for check in graded.checks] == [(False, "not answered")] * len(
        given.assertions
    )


def test_an_empty_answer_is_an_answer():
    assert grade(case(), "").passed
    assert grade(case(asserted("cat")), "").reason == "the answer does not contain 'cat'"


def test_what_cannot_be_decided_names_the_case():
    loop = Asserted("is-json", load("is-json")(value={"$ref": "#"}))
    with pytest.raises(SuiteError, match="case a: is-json: the schema refers to itself"):
        grade(case(loop), "1")
