"""Pages can be read by everyone: axe-core finds nothing, in light and dark, wide and narrow; keys reach everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from reports.site.drawing import TEMPLATES
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.pages import small
from tests.browser.test_hostile_site import STATIC, opened, page_of

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab
    from playwright.sync_api import ViewportSize

CONTROLS = (
    "a[href], button:enabled, summary, select, input:not([type=radio]), input[type=radio]:checked, [tabindex='0']"
)
"""Of radio buttons the Tab key reaches the chosen one, and arrows the others."""

Scheme = Literal["light", "dark"]


def violations(tab: Tab) -> str:
    """What axe-core has against the page as it is drawn now; empty: nothing."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab)
    return found.generate_report() if found.violations_count else ""


@pytest.mark.parametrize(("scheme", "size"), [("light", PHONE), ("dark", DESKTOP)], ids=["light-phone", "dark-desktop"])
def test_axe_finds_nothing(show: Callable[..., Tab], page: Tab, size: ViewportSize, scheme: Scheme) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    tab = show(small())
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert not violations(tab)


@pytest.mark.parametrize("kind", STATIC, ids=TEMPLATES.get)
def test_axe_finds_nothing_on_the_site(page: Tab, tmp_path: Path, kind: type) -> None:
    page.set_viewport_size(PHONE)
    assert not violations(opened(page, page_of(kind, ("Some words", "Other words")), tmp_path))


def test_every_control_is_reached_by_the_tab_key(show: Callable[..., Tab]) -> None:
    """What a mouse can use, a keyboard can: no control is left out, and none holds the focus for good."""
    tab = show(small())
    tab.locator("form.filters output:not(:empty)").first.wait_for()
    wanted = tab.evaluate(f"[...document.querySelectorAll({CONTROLS!r})].filter((one) => one.checkVisibility()).length")
    reached = set()
    for _ in range(wanted + 10):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate(f"[...document.querySelectorAll({CONTROLS!r})].indexOf(document.activeElement)"))
    assert len(reached - {-1}) == wanted
