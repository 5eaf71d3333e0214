from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.diff import Segment, words


def same(text: str) -> Segment:
    return Segment(text, changed=False)


def new(text: str) -> Segment:
    return Segment(text, changed=True)


@pytest.mark.parametrize(
    ("before", "after", "old_side", "new_side"),
    [
        ("", "", (), ()),
        ("same text", "same text", (same("same text"),), (same("same text"),)),
        (
            "It is Paris.",
            "It is Lyon.",
            (same("It is "), new("Paris"), same(".")),
            (same("It is "), new("Lyon"), same(".")),
        ),
        ("one", "one two", (same("one"),), (same("one"), new(" two"))),
        ("red fox ran", "blue cat ran", (new("red fox"), same(" ran")), (new("blue cat"), same(" ran"))),
        ("été", "ete", (new("été"),), (new("ete"),)),
    ],
)
def test_words(before: str, after: str, old_side: tuple[Segment, ...], new_side: tuple[Segment, ...]) -> None:
    compared = words(before, after)
    assert (compared.before, compared.after) == (old_side, new_side)


@given(st.text("ab ,\n<é", max_size=30), st.text("ab ,\n<é", max_size=30))
def test_segments_give_the_texts_again(before: str, after: str) -> None:
    compared = words(before, after)
    assert "".join(segment.text for segment in compared.before) == before
    assert "".join(segment.text for segment in compared.after) == after
    unchanged = ["".join(part.text for part in side if not part.changed) for side in (compared.before, compared.after)]
    assert unchanged[0] == unchanged[1]


def test_long_texts_end_soon() -> None:
    started = process_time()
    compared = words("tick tock " * 20_000, "tock tick " * 20_000)
    assert process_time() - started < 2
    assert compared.before[0].changed
