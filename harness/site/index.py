"""The first page: where everything stands, and the newest jobs; older ones in pages of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.digest import digest
from harness.site import Sheet
from harness.site.shelf import Shelf
from reports.page import Fact
from reports.site.link import Link
from reports.site.pages import IndexPage, JobRow, OlderPage

A_PAGE = 200
"""Jobs. Pages of older ones are filled from the oldest on, so that a new job changes the last of them only."""


def index_sheets(shelf: Shelf, counts: dict[str, int]) -> Iterator[Sheet]:
    """The index, and the pages before it."""
    rows = list(shelf.rows.values())
    older: list[Link] = []
    for number, first in enumerate(range(0, len(rows) - A_PAGE, A_PAGE), start=1):
        part = rows[first : first + A_PAGE]
        link = Link(f"{part[0].started[:10]} to {part[-1].started[:10]}", f"older-{number}.html")
        older.append(link)
        yield Sheet(link.page, digest(part), _older(link.text, part))
    standings = tuple(shelf.standings())
    facts = tuple(Fact(name, f"{number:,}") for name, number in counts.items())
    page = IndexPage(facts, standings, tuple(reversed(rows[-A_PAGE:])), tuple(reversed(older)))
    yield Sheet("index.html", digest(page), lambda: page)


def _older(title: str, rows: Sequence[JobRow]) -> Callable[[], OlderPage]:
    page = OlderPage(title, tuple(reversed(rows)))
    return lambda: page
