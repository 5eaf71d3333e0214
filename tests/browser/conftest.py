"""A real Chromium, and a page in it that may do nothing but show itself."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports import Page, write
from tests.browser.watching import Watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = f"no browser: install chromium (Debian: apt-get install chromium); looked for {', '.join(NAMES)}"

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def pytest_itemcollected(item: pytest.Item) -> None:
    """All tests of this folder belong to the slow tier; `-m browser` chooses them alone."""
    item.add_marker("slow")
    item.add_marker("browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium a module: while Playwright runs, asyncio in other tests would find a loop already running."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail(MISSING) if os.environ.get("CI") == "true" else pytest.skip(MISSING)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Options of the browser's context, for a test to override."""
    return {}


@pytest.fixture
def may_load() -> tuple[str, ...]:
    """Addresses, by how they begin, that the page may ask for besides itself; for a test to override."""
    return ()


@pytest.fixture
def page(
    browser: Browser, context_options: dict[str, Any], may_load: tuple[str, ...], request: pytest.FixtureRequest
) -> Iterator[Tab]:
    """An empty page; the test fails if it then logs an error, raises one, asks, or loads more than what is opened.

    What it shows at the end of the test is kept as a picture in the folder SECATEUR_ARTIFACTS, if that is set.
    """
    context = browser.new_context(**{"viewport": DESKTOP, **context_options})
    tab = context.new_page()
    watch = Watch(may_load)
    watch.follow(context)
    yield tab
    if folder := os.environ.get("SECATEUR_ARTIFACTS"):
        name = re.sub(r"[^\w.-]+", "-", request.node.name)
        tab.screenshot(path=Path(folder, f"{name}.png"), full_page=True)
    context.close()
    assert not watch.faults


@pytest.fixture
def show(page: Tab, tmp_path: Path) -> Callable[..., Tab]:
    """Draw a report and open it from disk: `show(values)`, or at an anchor: `show(values, "#c1")`."""

    def shown(values: Page, anchor: str = "") -> Tab:
        path = tmp_path / "report.html"
        write(values, path)
        page.goto(path.as_uri() + anchor)
        return page

    return shown
