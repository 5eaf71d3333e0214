"""The page's script outside a browser, where what it computes must be what Python computes."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from reports.diff import words
from reports.packing import packed
from reports.visible import visible

SCRIPTS = Path(__file__).parents[2] / "reports" / "templates" / "scripts"


@pytest.fixture(scope="module")
def engine() -> Iterator[MiniRacer]:
    with MiniRacer() as started:
        for name in ("matching.js", "diff.js", "choosing.js", "packing.js"):
            started.eval((SCRIPTS / name).read_text("utf-8"))
        yield started


def compared(engine: MiniRacer, before: str, after: str) -> Any:
    return json.loads(str(engine.eval(f"JSON.stringify(wordDiff({json.dumps(before)}, {json.dumps(after)}))")))


WORDS = ["the", "cat", "sat", "on", "a", ",", ".", "\n", "été", "नमस्ते", "三四", "²", "x_1", "🙂", "\x85", "\ufeff"]
SENTENCE = st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(SENTENCE | st.text(max_size=12), SENTENCE | st.text(max_size=12))
def test_the_browser_finds_the_same_words_changed(engine: MiniRacer, before: str, after: str) -> None:
    before, after = visible(before), visible(after)
    expected = words(before, after)
    assert compared(engine, before, after) == {
        "before": [asdict(part) for part in expected.before],
        "after": [asdict(part) for part in expected.after],
    }


@pytest.mark.parametrize("vocabulary", ["ab", "abcdefghijklmnopqrstuvwxyz"])
def test_the_largest_texts_that_are_compared_word_by_word_end_soon(engine: MiniRacer, vocabulary: str) -> None:
    chance = random.Random(1)
    before, after = (" ".join(chance.choices(vocabulary, k=500)) for _ in range(2))
    started = process_time()
    found = compared(engine, before, after)
    assert process_time() - started < 2
    assert found["after"] == [asdict(part) for part in words(before, after).after]


def test_longer_texts_are_marked_whole(engine: MiniRacer) -> None:
    found = compared(engine, "tick tock " * 20_000, "tock tick " * 20_000)
    assert [part["changed"] for part in found["before"]] == [True]


INDEX = {
    "kinds": ["loss", "gain"],
    "suites": ["a", "b"],
    "tags": ["hard", "soft"],
    "id": ["1", "2", "3", "4"],
    "kind": [0, 0, 0, 1],
    "suite": [0, 1, 0, 0],
    "tag": [[0], [0, 1], [], [1]],
    "flaky": [0, 0, 1, 0],
    "place": [3, 2, 0, 1],
    "score": [0.5, 0.5, 0.25, 1],
    "distance": [3, 4, 9, 1],
}


@pytest.mark.parametrize(
    ("choice", "rows", "counts"),
    [
        ({"kind": "all"}, [0, 1, 2, 3], {"loss": 3, "gain": 1, "all": 4}),
        ({"kind": "loss", "tag": "soft"}, [1], {"loss": 1, "gain": 1, "all": 2}),
        ({"kind": "gain", "suite": "b"}, [], {"loss": 1, "all": 1}),
        ({"kind": "loss", "flaky": "yes"}, [2], {"loss": 1, "all": 1}),
        ({"kind": "all", "tag": "__proto__"}, [], {"all": 0}),
        ({"kind": "all", "sort": "place"}, [2, 3, 1, 0], {"loss": 3, "gain": 1, "all": 4}),
        ({"kind": "loss", "sort": "size"}, [1, 0, 2], {"loss": 3, "gain": 1, "all": 4}),
    ],
)
def test_what_is_chosen_is_sorted_and_counted_by_kind(
    engine: MiniRacer, choice: dict[str, str], rows: list[int], counts: dict[str, int]
) -> None:
    asked = json.dumps({"suite": "", "tag": "", "flaky": "", "sort": "", **choice})
    code = f"const found = chosen({json.dumps(INDEX)}, {asked}, null); [found.rows, Object.fromEntries(found.counts)]"
    assert json.loads(str(engine.eval(f"{{ {code.replace('; [', '; JSON.stringify([')}) }}"))) == [rows, counts]


def test_the_browser_reads_what_was_packed(engine: MiniRacer) -> None:
    """Of every length that a group of bits can end with, and nothing in it that HTML or a string would read."""
    for length in range(30):
        value = 'é<"&' * length
        text = packed(value)
        assert not set(text) & set('<"\\\n')
        data = bytes(json.loads(str(engine.eval(f"JSON.stringify([...packedBytes({json.dumps(text)})])"))))
        assert json.loads(zlib.decompress(data)) == value
