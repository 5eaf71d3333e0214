"""The built-in questions and passages: counts, one right answer each, and nothing shared between the files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import harness

FOLDER = Path(harness.__file__).parent / "tasks"
RUN_WORDS = 8


def lines_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def texts_of(name: str) -> list[str]:
    return [line["text"] for line in lines_of(name)]


def word_runs(texts: list[str]) -> set[tuple[str, ...]]:
    """Every run of RUN_WORDS words in any of the texts."""
    runs = set()
    for text in texts:
        words = text.lower().split()
        runs |= {tuple(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1)}
    return runs


def test_questions_are_many_and_each_is_asked_once() -> None:
    questions = [line["question"] for line in lines_of("everyday.jsonl")]
    assert len(questions) >= 240
    assert [question for question, count in Counter(questions).items() if count > 1] == []


def test_every_question_has_four_different_choices_and_one_answer() -> None:
    for line in lines_of("everyday.jsonl"):
        assert len({choice.strip().lower() for choice in line["choices"]}) == len(line["choices"]) == 4, line[
            "question"
        ]
        assert line["answer"] in range(4), line["question"]


def test_right_answers_are_spread_over_the_positions() -> None:
    answers = [line["answer"] for line in lines_of("everyday.jsonl")]
    shares = [answers.count(position) / len(answers) for position in range(4)]
    assert all(0.20 <= share <= 0.30 for share in shares), shares


def test_passages_are_many_and_of_the_stated_length() -> None:
    passages, heldout = texts_of("passages.jsonl"), texts_of("heldout.jsonl")
    assert len(passages) >= 48
    assert len(heldout) >= 64
    assert all(60 <= len(text.split()) <= 110 for text in passages)
    assert all(100 <= len(text.split()) <= 130 for text in heldout)


def test_no_passage_is_repeated_or_shared_between_the_files() -> None:
    passages, heldout = texts_of("passages.jsonl"), texts_of("heldout.jsonl")
    assert len(set(passages + heldout)) == len(passages) + len(heldout)
    assert word_runs(passages) & word_runs(heldout) == set()
