"""Nothing is cut off, lies over anything else or moves, on any screen and on paper. Shapes are held, not pixels."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reports.site.drawing import TEMPLATES
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.hostile import page_of as report_of
from tests.browser.pages import many, small
from tests.browser.test_hostile_site import STATIC, opened, page_of

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab
    from playwright.sync_api import ViewportSize

LONG = "W" * 600
BOTH_SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OVERLAPS = """() => [...document.querySelectorAll("tr")].flatMap((row) => {
  const boxes = [...row.cells].map((cell) => cell.getBoundingClientRect()).filter((box) => box.width && box.height);
  const over = (one, other) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 &&
    Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
  return boxes.some((box, at) => boxes.slice(at + 1).some((other) => over(box, other))) ? [row.textContent] : [];
})"""
MOVING = """() => document.getAnimations().length + [...document.querySelectorAll("*")].filter((one) => {
  const style = getComputedStyle(one);
  return parseFloat(style.transitionDuration) > 0.001 || style.scrollBehavior === "smooth";
}).length"""


def opened_wide(tab: Tab) -> None:
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


@BOTH_SIZES
def test_the_verdict_is_in_sight_and_cells_keep_apart(show: Callable[..., Tab], page: Tab, size: ViewportSize) -> None:
    page.set_viewport_size(size)
    tab = show(small())
    opened_wide(tab)
    assert not tab.evaluate(OVERLAPS)
    for part in (tab.locator("h1"), tab.locator(".masthead .word")):
        box = part.bounding_box()
        assert box
        assert 0 <= box["y"] < size["height"]
        assert 0 <= box["x"] < box["x"] + box["width"] <= size["width"]


@BOTH_SIZES
def test_a_word_without_end_fits_too(show: Callable[..., Tab], page: Tab, size: ViewportSize) -> None:
    page.set_viewport_size(size)
    tab = show(report_of(LONG))
    opened_wide(tab)
    assert tab.evaluate(SIDEWAYS) <= 0


@pytest.mark.parametrize("kind", STATIC, ids=TEMPLATES.get)
def test_the_site_fits_a_phone(page: Tab, tmp_path: Path, kind: type) -> None:
    page.set_viewport_size(PHONE)
    for text in ("Some words", LONG):
        tab = opened(page, page_of(kind, (text,)), tmp_path)
        assert tab.evaluate(SIDEWAYS) <= 0
        assert not tab.evaluate(OVERLAPS)


def test_nothing_moves_for_who_wants_no_motion(show: Callable[..., Tab], page: Tab) -> None:
    page.emulate_media(reduced_motion="reduce")
    tab = show(small())
    assert tab.evaluate(MOVING) == 0
    tab.keyboard.press("j")
    assert tab.evaluate(MOVING) == 0


def test_printed_it_has_every_gate(show: Callable[..., Tab]) -> None:
    """As text, so that the document can be searched, and no sheet of paper is empty."""
    from pypdf import PdfReader

    values = small()
    sheets = [sheet.extract_text() for sheet in PdfReader(io.BytesIO(show(values).pdf())).pages]
    assert all(sheet.strip() for sheet in sheets)
    # Compatibility forms undo ligatures, which a font may set.
    letters = "".join(unicodedata.normalize("NFKC", "".join(sheets)).split())
    for candidate in values.candidates:
        for gate in candidate.gates:
            for text in (gate.metric, gate.rule, gate.reason):
                assert "".join(text.split()) in letters, text


def test_printed_it_shows_what_changed_from_what_to_what(show: Callable[..., Tab]) -> None:
    """Unless the reader has chosen other cases: then those are listed. Afterwards the list is there again."""
    tab = show(many(400))
    tab.locator("form.filters output:not(:empty)").first.wait_for()
    tab.locator(".case[open] .answer").nth(3).wait_for()
    for event, shown in (("beforeprint", 20), ("afterprint", 2)):
        tab.evaluate("name => dispatchEvent(new Event(name))", event)
        assert tab.locator(".case .answer").count() == 2 * shown
    tab.get_by_role("radio", name="Both right").check()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator(".plain").count() == 0


def test_of_many_candidates_each_is_folded_and_opened_by_its_address(show: Callable[..., Tab], page: Tab) -> None:
    page.set_viewport_size(DESKTOP)
    example = small().candidates
    values = replace(small(), candidates=tuple(replace(example[n % 3], name=f"cut-{n:02}") for n in range(40)))
    tab = show(values)
    assert tab.evaluate("document.documentElement.scrollHeight") < 40_000
    tab.keyboard.press("ArrowDown")
    assert tab.locator(".fold[open]").count() == 0
    tab.evaluate("location.hash = 'cases=cut-38'")
    tab.wait_for_selector("#c39 .fold[open]")
    assert tab.locator(".fold[open]").count() == 1
