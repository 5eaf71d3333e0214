"""Cases as compact data for the page's script: an index of all of them, and what they say in chunks.

templates/scripts/payload.js has the form of both as types, and reads them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from markupsafe import Markup

from reports.cases import AnswerRow, CheckRow, Kind, TokenRow
from reports.listing import Listed, Listing
from reports.packing import packed
from reports.visible import visible

CHUNK = 200
"""Cases whose texts are read together."""
CHUNKS = "cases"
"""The folder of chunks beside a page."""


@dataclass(frozen=True)
class Payload:
    """All cases of one candidate."""

    listing: Listing
    chunks: tuple[Markup, ...]

    def index(self, beside: bool) -> Markup:
        """Columns over all cases, and, if the chunks lie beside the page, the name of each."""
        return packed(_columns(self.listing, [chunk_name(chunk) for chunk in self.chunks] if beside else []))


def payload(listing: Listing) -> Payload:
    """Put the texts of all cases into chunks."""
    rows = [_texts(row) for row in listing.rows]
    return Payload(listing, tuple(packed(rows[at : at + CHUNK]) for at in range(0, len(rows), CHUNK)))


def chunk_name(chunk: str) -> str:
    """A chunk's file name: of its content, so that a chunk that stays the same stays where it is."""
    return f"{CHUNKS}/{hashlib.sha256(chunk.encode()).hexdigest()[:16]}.js"


def _columns(listing: Listing, files: Sequence[str]) -> dict[str, object]:
    """Names as lists, cases as positions in them."""
    kinds: list[Kind] = list(get_args(Kind))
    suites = {name: at for at, name in enumerate(listing.suites)}
    tags = {name: at for at, name in enumerate(listing.tags)}

    def column(value: Callable[[Listed], object]) -> list[object]:
        return [value(row) for row in listing.rows]

    return {
        "size": CHUNK,
        "files": list(files),
        "kinds": kinds,
        "suites": [visible(name) for name in suites],
        "tags": [visible(name) for name in tags],
        "kind": column(lambda row: kinds.index(row.case.kind)),
        "suite": column(lambda row: suites[row.case.suite]),
        "tag": column(lambda row: [tags[tag] for tag in row.case.tags]),
        "id": column(lambda row: visible(row.case.id)),
        "title": column(lambda row: visible(row.case.description)),
        "flaky": column(lambda row: int(row.case.flaky)),
        "place": column(lambda row: row.place),
        "score": column(lambda row: row.score),
        "distance": column(lambda row: row.distance),
    }


def _texts(row: Listed) -> list[object]:
    """Prompt and both answers, side by side in the data, where the second costs little."""
    turns = [[visible(turn.role), visible(turn.content)] for turn in row.case.messages]
    return [turns, _answer(row.case.before, row.case.repeats), _answer(row.case.after, row.case.repeats)]


def _answer(answer: AnswerRow, repeats: int) -> list[object]:
    text = None if answer.text is None else visible(answer.text)
    checks, tokens = [_check(check) for check in answer.checks], [_token(token) for token in answer.tokens]
    tries = None if answer.passes is None else [answer.passes, repeats]
    return [text, visible(answer.error), checks, tokens, _rounded(answer.score), tries]


def _token(token: TokenRow) -> list[object]:
    return [visible(token.text), _rounded(token.kl)]


def _check(check: CheckRow) -> list[object]:
    state = ("passed" if check.passed else "failed") if check.checked else "unchecked"
    return [visible(check.type), state, visible(check.reason), _rounded(check.score)]


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 4)
