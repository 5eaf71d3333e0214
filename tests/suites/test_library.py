"""Every built-in suite: its form, and answers on which its assertions must decide rightly.

`answers/NAME.yaml` holds for each case right answers in several wordings and wrong ones that are near misses.
"""

from collections import Counter
from pathlib import Path

import pytest

import suites
from suites.document import read

LEVELS = ("easy", "medium", "hard")
DOCUMENT = (Path(__file__).parents[2] / "docs" / "suites-built-in.md").read_text("utf-8")
LIBRARY = {name: suites.load(name) for name in suites.names()}
ANSWERS = {file.stem: read(file).data for file in (Path(__file__).parent / "answers").glob("*.yaml")}
CASES = {name: {case.id: case for case in LIBRARY[name].cases} for name in ANSWERS}
# What a damaged model says to any question. The long ones also show that no pattern runs out of time, the last one that
# words which only begin or end like right answers are not taken for them.
BROKEN = ["", " \n", "I do not know.", "the the the the", "word " * 300, "a" * 1500, "a, " * 400, "- a\n" * 300]
BROKEN += ["Networking prostate6aed endorsecases pinkish rodeo cabinets handled foodie unbluest 2x4x8 tealike pricey"]


def accepted(name: str, answers: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return each case and answer that pass."""
    given = ((id, answer) for id, texts in answers.items() for answer in texts)
    return [(id, answer) for id, answer in given if suites.grade(CASES[name][id], answer).passed]


def topic(case: suites.Case) -> str:
    """Return the one tag with which the id begins."""
    (found,) = (tag for tag in case.tags if case.id.startswith(f"{tag}-"))
    return found


def test_every_suite_but_smoke_has_answers():
    # The cases of smoke hold an example each, and test_smoke.py has the wrong ones.
    assert {*ANSWERS, "smoke"} == set(LIBRARY)


@pytest.mark.parametrize("name", LIBRARY)
def test_suite_has_enough_of_each_kind(name):
    suite = LIBRARY[name]
    topics = Counter(map(topic, suite.cases))
    levels = Counter(level for case in suite.cases for level in case.tags & {*LEVELS})
    assert suite.description
    assert suite.notes == ()
    assert 60 <= len(suite.cases) <= 240
    assert f"| `{name}` | {len(suite.cases)} | {' | '.join(str(levels[level]) for level in LEVELS)} |" in DOCUMENT
    assert min(topics.values()) >= 8
    assert levels.total() == len(suite.cases)
    assert min(levels[level] for level in LEVELS) >= len(suite.cases) // 8


@pytest.mark.parametrize("name", LIBRARY)
def test_every_case_is_whole_and_asked_once(name):
    cases = LIBRARY[name].cases
    assert max(Counter(case.id for case in cases).values()) == 1
    assert max(Counter(str(case.messages) for case in cases).values()) == 1
    assert [case.id for case in cases if not case.assertions or case.messages[-1]["role"] != "user"] == []
    assert [case.id for case in cases if not 6 <= case.max_new_tokens <= 256] == []


@pytest.mark.parametrize("name", ANSWERS)
def test_every_case_has_right_and_wrong_answers(name):
    assert ANSWERS[name].keys() == CASES[name].keys()
    assert [id for id, given in ANSWERS[name].items() if not given["right"] or not given["wrong"]] == []


@pytest.mark.parametrize("name", ANSWERS)
def test_right_answers_pass(name):
    # Many models end with a line break.
    right = {id: [*given["right"], given["right"][0] + "\n"] for id, given in ANSWERS[name].items()}
    assert accepted(name, right) == [(id, answer) for id, answers in right.items() for answer in answers]


@pytest.mark.parametrize("name", ANSWERS)
def test_right_answers_fit(name):
    longest = {id: max(len(answer.split()) for answer in given["right"]) for id, given in ANSWERS[name].items()}
    assert [id for id, words in longest.items() if words > CASES[name][id].max_new_tokens] == []


@pytest.mark.parametrize("name", ANSWERS)
def test_near_misses_fail(name):
    assert accepted(name, {id: given["wrong"] for id, given in ANSWERS[name].items()}) == []


@pytest.mark.parametrize("name", ANSWERS)
def test_silence_noise_and_the_question_fail(name):
    said = {id: [*BROKEN, case.messages[-1]["content"]] for id, case in CASES[name].items()}
    assert accepted(name, said) == []


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_of_other_cases_mostly_fail(name):
    right = {id: given["right"][0] for id, given in ANSWERS[name].items()}
    rules = {id: case.assertions[0] for id, case in CASES[name].items()}
    # A case that is graded by the same rule, such as another request to refuse, has no wrong answer to offer.
    others = {id: [right[other] for other in list(right)[::4] if rules[other] != rules[id]] for id in right}
    passed = Counter(id for id, _ in accepted(name, others))
    assert {id: count for id, count in passed.items() if count > len(others[id]) / 5} == {}


def test_long_contexts_have_the_lengths_they_are_tagged_with():
    # SmolLM2's tokenizer makes 1.30 to 1.36 tokens of a word of these texts.
    for case in CASES["long-context"].values():
        (length,) = (int(tag.removeprefix("length-")) for tag in case.tags if tag.startswith("length-"))
        words = len(case.messages[-1]["content"].split())
        assert 0.68 * length <= words <= 0.80 * length, case.id
        assert ("fits-2048" in case.tags) == (length < 2000), case.id
