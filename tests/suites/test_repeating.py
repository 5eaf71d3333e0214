"""How often a case is asked, by whose word, and what its answers come to together."""

from pathlib import Path

import pytest

from suites import Case, Graded, SuiteError, load
from suites.repeating import flaky, settled, whole
from suites.sampling import Repeat, Sampling

ONE = "{vars: {q: hello}, assert: [{type: contains, value: hi}]"


def suite(folder: Path, head: str = "", test: str = ""):
    file = folder / "s.yaml"
    file.write_text(f"prompts: ['{{{{q}}}}']\n{head}\ntests:\n  - {ONE}{test}}}\n")
    return load(file)


@pytest.mark.parametrize(
    ("head", "test", "expected"),
    [
        ("", "", None),
        ("", ", repeat: {n: 5}", Repeat(5, 5)),
        ("", ", repeat: {n: 5, min_pass: 4}", Repeat(5, 4)),
        ("", ", options: {repeat: 3}", Repeat(3, 3)),
        ("evaluateOptions: {repeat: 2}", "", Repeat(2, 2)),
        ("defaultTest: {repeat: {n: 4, min_pass: 1}}", "", Repeat(4, 1)),
        ("defaultTest: {repeat: {n: 4}}\nevaluateOptions: {repeat: 2}", ", options: {repeat: 3}", Repeat(3, 3)),
    ],
)
def test_the_word_nearest_to_the_case_counts(tmp_path: Path, head: str, test: str, expected: Repeat | None) -> None:
    assert suite(tmp_path, head, test).cases[0].repeat == expected


@pytest.mark.parametrize(
    ("head", "test", "message"),
    [
        ("", ", repeat: {n: 2, min_pass: 3}", "min_pass: 3 of 2 answers cannot pass"),
        ("", ", repeat: {n: 0}", "greater than or equal to 1"),
        ("", ", options: {repeat: 101}", "less than or equal to 100"),
        ("evaluateOptions: {repeat: true}", "", r"s\.yaml:2: .*a whole number from 1 to 100 is allowed"),
        ("sampling: {temperature: 0}", "", "greater than 0"),
        ("sampling: {temperature: 1, top_p: 1.5}", "", "less than or equal to 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path: Path, head: str, test: str, message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        suite(tmp_path, head, test)


def test_greedy_answers_are_asked_for_once(tmp_path: Path) -> None:
    given = suite(tmp_path, test=", repeat: {n: 5}")
    greedy, drawn = settled(given), settled(given, Sampling(0.7), Repeat(9, 9))
    assert (greedy.tries, greedy.unrepeated, greedy.sampling) == (1, 1, None)
    assert (drawn.tries, drawn.unrepeated, drawn.sampling) == (5, 0, Sampling(0.7))
    assert settled(suite(tmp_path), Sampling(0.7), Repeat(9, 3)).cases[0].repeat == Repeat(9, 3)
    own = suite(tmp_path, "sampling: {temperature: 0.2, seed: 4}")
    assert settled(own, Sampling(0.7)).sampling == Sampling(0.2, 1.0, 4)


def test_sampling_and_repeats_are_part_of_what_a_suite_is(tmp_path: Path) -> None:
    digests = {
        suite(tmp_path, head, test).digest
        for head, test in (
            ("", ""),
            ("sampling: {temperature: 1}", ""),
            ("", ", repeat: {n: 2}"),
            ("", ", repeat: {n: 2, min_pass: 1}"),
        )
    }
    assert len(digests) == 4


def graded(passed: bool, score: float) -> Graded:
    return Graded(passed, score, (), "" if passed else f"scored {score}")


def test_answers_to_one_case_come_to_one_grade() -> None:
    tries = [graded(True, 1.0), graded(False, 0.25), graded(True, 1.0)]
    place, together = whole(Case("a", [], repeat=Repeat(3, 2)), tries)
    assert (place, together.passed, together.score, together.reason) == (0, True, 0.75, "")
    place, together = whole(Case("a", [], repeat=Repeat(3, 3)), tries)
    assert (place, together.passed, together.score) == (1, False, 0.75)
    assert together.reason == "2 of 3 answers pass, 3 must; for example: scored 0.25"
    assert whole(Case("a", []), tries[1:2]) == (0, tries[1])
    assert [flaky(tries), flaky(tries[:1]), flaky(())] == [True, False, False]
