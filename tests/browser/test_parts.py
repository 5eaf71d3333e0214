"""What the parts of a report do besides standing there: their numbers, their data, and the page on paper."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pypdf
import pytest

from tests.browser.pages import many, small

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab


def test_the_numbers_of_a_gate_appear_under_the_keyboard(show: Callable[..., Tab]) -> None:
    tab = show(small())
    plot = tab.locator("#c3 svg.forest").first
    tip = plot.locator(".tip")
    assert tip.evaluate("node => getComputedStyle(node).opacity") == "0"
    plot.focus()
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Tab")
    assert tip.evaluate("node => getComputedStyle(node).opacity") == "1"
    assert " ".join(tip.all_text_contents()[0].split()) == "41.2 35.2 47.2"


def test_all_data_can_be_saved(show: Callable[..., Tab]) -> None:
    values = many(450)
    tab = show(values)
    with tab.expect_download() as saving:
        tab.get_by_role("button", name="All data of this page as JSON").click()
    with open(saving.value.path(), encoding="utf-8") as file:
        saved = json.load(file)
    assert saved["page"]["candidates"][0]["gates"][0]["low"] == 0.352
    cases = {case["id"]: case for case in saved["cases"][values.candidates[0].name]}
    assert len(cases) == 450
    for case in values.candidates[0].cases:
        assert cases[case.id]["after"]["text"] == case.after.text
        assert cases[case.id]["tags"] == list(case.tags)


def test_paper_shows_what_a_screen_folds_away(show: Callable[..., Tab]) -> None:
    tab = show(small())
    reader = pypdf.PdfReader(io.BytesIO(tab.pdf()))
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    for said in ("REGRESSION", "smoke.pass_rate", "Every layer in numbers", "score: paper", "original: smollm2-135m"):
        assert said in text
    assert "All data of this page as JSON" not in text


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_cut_off_or_covers_another(show: Callable[..., Tab], width: int) -> None:
    tab = show(small())
    tab.set_viewport_size({"width": width, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    covered = tab.evaluate(
        """() => [...document.querySelectorAll("svg.tradeoff")].flatMap((chart) => {
          const box = (node) => [node.textContent, node.getBoundingClientRect()];
          const names = [...chart.querySelectorAll(".label")].map(box);
          return names.flatMap(([one, a], at) => names.slice(at + 1)
            .filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
            .map(([other]) => `${one} and ${other}`));
        })"""
    )
    assert covered == []
