"""Every row of the tables in docs/assertions.md is so."""

import re
from pathlib import Path

import pytest

from suites import Graded, Reply, assertion_names
from suites.assertions import Check, build
from suites.parse import parse_yaml
from tests.suites.replay import facts_of

TEXT = (Path(__file__).parents[2] / "docs" / "assertions.md").read_text("utf-8")
ROWS = [
    (name, *cells[-3:])
    for cells in ([cell.strip() for cell in line.split(" | ")] for line in TEXT.splitlines() if line.startswith("| `"))
    if len(cells) == 7
    for name in re.findall("`([^`]+)`", cells[0])
]


def unquoted(cell):
    """The text of a cell in back quotes; ⏎ stands for a line break."""
    return cell.removesuffix(" |").strip().strip("`").strip().replace("⏎", "\n")


def reply(cell):
    text = unquoted(cell)
    if not text.startswith("{") or ":" not in text or ('"' in text and "said" not in text):
        return Reply(text), None
    facts = parse_yaml(text, "docs").data
    return known(facts), known(facts["original"]) if "original" in facts else None


def known(facts):
    facts = facts_of({name: fact for name, fact in facts.items() if name != "original"})
    if "graded" in facts:
        passed, score = facts["graded"]
        facts["graded"] = Graded(passed, score, (Check("equals", passed, score, "why"),))
    return Reply(**{"text": "", **facts})


def test_every_type_has_a_row():
    assert sorted(name for name, *_ in ROWS) == sorted(assertion_names())


@pytest.mark.parametrize(("name", "example", "passes", "fails"), ROWS, ids=[row[0] for row in ROWS])
def test_row(name, example, passes, fails, monkeypatch):
    monkeypatch.setattr("suites.assertions.meteor._wordnet", lambda: None)
    if name == "meteor":
        pytest.skip("imports NLTK, which takes seconds; tested in the slow tier")
    options = {} if example == "-" else parse_yaml(unquoted(example), "docs").data
    rule = build(name, options)
    assert rule.check(*reply(passes)).passed
    assert not rule.check(*reply(fails)).passed
