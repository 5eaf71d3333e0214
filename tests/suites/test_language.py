"""What promptfoo asks, we ask: suites of every construct against a record of what promptfoo itself made of them.

The record is made again by tests/conformance/language.mjs.
"""

import json
from pathlib import Path

import pytest

from suites import grade, load

FOLDER = Path(__file__).parent / "language"
RECORD = json.loads((FOLDER / "asked.json").read_text("utf-8"))


def said(prompt: str) -> list[tuple[str, str]]:
    """What promptfoo's prompt says to a model: messages, or a text from the user."""
    try:
        data = json.loads(prompt)
    except ValueError:
        return [("user", prompt)]
    if not isinstance(data, list) or not all(isinstance(part, dict) and "role" in part for part in data):
        return [("user", prompt)]
    return [(part["role"], part["content"]) for part in data]


@pytest.mark.parametrize("name", RECORD)
def test_the_same_is_asked_and_graded_alike(name):
    theirs = [(said(row["asked"]), row["passed"], round(row["score"], 6)) for row in RECORD[name]]
    ours = []
    for case in load(FOLDER / f"{name}.yaml").cases:
        asked = [(each["role"], each["content"]) for each in case.messages]
        graded = grade(case, asked[-1][1])
        ours.append((asked, graded.passed, round(graded.score, 6)))
    assert sorted(ours) == sorted(theirs)


def test_every_suite_is_recorded():
    assert sorted(RECORD) == sorted(file.stem for file in FOLDER.glob("*.yaml"))
