"""What the page's script is given is what the cases say."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from typing import Any

from reports.cases import AnswerRow, CheckRow, TokenRow
from reports.listing import listing
from reports.page import Page
from reports.payload import CHUNK, chunk_name, payload
from tests.reports.conftest import case

DIGITS = [chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<\\']


def unpacked(text: str) -> Any:
    """Two characters are 13 bits, low bits first; the first says how many bytes are beyond the data."""
    beyond, *digits = [DIGITS.index(character) for character in text]
    bits = "".join(f"{91 * high + low:013b}"[::-1] for high, low in zip(digits[::2], digits[1::2], strict=True))
    data = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits) - 7, 8))
    return json.loads(zlib.decompress(data[: len(data) - beyond]))


def test_texts_of_a_case() -> None:
    checks = (CheckRow("equals", True, "same", score=0.5), CheckRow("llm", False, "no judge", checked=False))
    before = AnswerRow(
        "a\u202e", checks, score=0.25, passes=3, tokens=(TokenRow("a", 0.123456), TokenRow("b", math.nan))
    )
    one = replace(case("c", "loss", "", ""), before=before, after=AnswerRow(None, error="too long"), repeats=5)
    (chunk,) = payload(listing((one,))).chunks
    (row,) = unpacked(chunk)
    assert row == [
        [["system", "Answer in one sentence."], ["user", "What is the capital of France?"]],
        [
            "a⟨U+202E⟩",
            "",
            [["equals", "passed", "same", 0.5], ["llm", "unchecked", "no judge", None]],
            [["a", 0.1235], ["b", None]],
            0.25,
            [3, 5],
        ],
        [None, "too long", [], [], None, None],
    ]


def test_index_and_chunks_name_every_case_once(example: Page) -> None:
    cases = tuple(replace(row, id=f"{at}") for at, row in enumerate(example.candidates[2].cases * 10))
    packed = payload(listing(cases))
    index = unpacked(packed.index(beside=True))
    assert sorted(index["id"], key=int) == [row.id for row in cases]
    assert [int(name) for name in index["id"]] == index["place"]
    assert [index["kinds"][kind] for kind in index["kind"]] == [row.case.kind for row in packed.listing.rows]
    assert [index["tags"][tag] for tag in index["tag"][0]] == ["facts", "easy"]
    rows = [unpacked(chunk) for chunk in packed.chunks]
    assert [len(some) for some in rows] == [CHUNK, CHUNK, len(cases) - 2 * CHUNK]
    assert rows[0][0][1][0] == packed.listing.rows[0].case.before.text
    assert index["files"] == [chunk_name(chunk) for chunk in packed.chunks]
    assert unpacked(packed.index(beside=False))["files"] == []
