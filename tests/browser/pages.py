"""Pages to open in a browser: a small one with every part in it, and large ones."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import replace

from reports.cases import AnswerRow, CaseRow, CheckRow, Kind, Message
from reports.page import Page
from tests.reports.conftest import example_page as small

__all__ = ["many", "small"]

KINDS: tuple[Kind, ...] = ("loss", "gain", "churn", "fail", "pass", "dropped")
SHARES = (0.04, 0.02, 0.1, 0.23, 0.6, 0.01)
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "nar", "ken", "lis", "tun")
TAGS = tuple(f"topic-{number}" for number in range(20))


@functools.cache
def many(count: int) -> Page:
    """One candidate with `count` cases of four suites, answers of 100 to 1,000 letters of made-up words."""
    chance = random.Random(count)
    words = sorted({"".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(4_000)})
    kinds = chance.choices(KINDS, SHARES, k=count)
    cases = tuple(_case(number, kind, words, chance) for number, kind in enumerate(kinds))
    example = small()
    return replace(example, candidates=(replace(example.candidates[2], cases=cases),))


def _case(number: int, kind: Kind, words: Sequence[str], chance: random.Random) -> CaseRow:
    before = _text(words, chance)
    same = kind in ("pass", "fail")
    return CaseRow(
        suite=f"suite-{number % 4}",
        id=f"case-{number}",
        kind=kind,
        before=AnswerRow(None, error="not asked") if kind == "dropped" else _answer(before, kind in ("loss", "pass")),
        after=_answer(before if same else _altered(before, words, chance), kind in ("gain", "pass")),
        messages=(Message("user", " ".join(chance.choices(words, k=20))),),
        tags=tuple(sorted(chance.sample(TAGS, 2))),
        description=f"Question {number}",
    )


def _text(words: Sequence[str], chance: random.Random) -> str:
    return " ".join(chance.choices(words, k=250))[: chance.randint(100, 1_000)]


def _altered(text: str, words: Sequence[str], chance: random.Random) -> str:
    """The text with one word in four replaced."""
    return " ".join(chance.choice(words) if chance.random() < 0.25 else word for word in text.split(" "))


def _answer(text: str, passed: bool) -> AnswerRow:
    word = text.split(" ")[0]
    reason = f'found "{word}"' if passed else f'"{word}" is not in the answer'
    return AnswerRow(text, (CheckRow("icontains", passed, reason),))
