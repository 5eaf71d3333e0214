"""Reports can be read by everyone: axe-core finds nothing, in light and dark, wide and narrow, open and closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import pytest

from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.pages import small

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab
    from playwright.sync_api import ViewportSize

Scheme = Literal["light", "dark"]


def violations(tab: Tab) -> str:
    """What axe-core has against the page as it is drawn now; empty: nothing."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab)
    return found.generate_report() if found.violations_count else ""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(show: Callable[..., Tab], page: Tab, size: ViewportSize, scheme: Scheme) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    tab = show(small())
    assert not violations(tab)
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert not violations(tab)
