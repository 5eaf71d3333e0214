"""The bench itself: it opens a report from disk, and notices everything that a report must not do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages import many, small
from tests.browser.watching import Watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab


def test_the_report_opens_from_disk(show: Callable[..., Tab]) -> None:
    tab = show(small())
    assert tab.locator("h1").inner_text() == "Is the smaller support bot still good enough?"
    assert tab.locator("section.candidate").count() == 3


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_verdicts_and_gates_are_there_without_script(show: Callable[..., Tab]) -> None:
    tab = show(many(200))
    assert tab.locator(".masthead .word").inner_text() == "REGRESSION"
    assert tab.locator("table.gates th[scope=row]").count() == 2


@pytest.fixture
def faults(browser: Browser, tmp_path: Path) -> Iterator[Callable[[str], list[str]]]:
    """Open HTML, wait for a fault, and say what was noticed."""
    context = browser.new_context()
    watch = Watch(())
    tab = context.new_page()
    watch.follow(context)

    def noticed(html: str) -> list[str]:
        path = tmp_path / "page.html"
        path.write_text(html)
        tab.goto(path.as_uri())
        until = time.monotonic() + 10
        while not watch.faults and time.monotonic() < until:
            tab.wait_for_timeout(20)
        return watch.faults

    yield noticed
    context.close()


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<script>console.error('no')</script>", "console: no"),
        ("<script>throw new Error('no')</script>", "script: no"),
        ("<script>alert('no')</script>", "alert dialog: no"),
        ("<img src='pixel.png'>", "/pixel.png"),
        ("<style>body { background: url(http://127.0.0.1:9/a.png) }</style>", "request: http://127.0.0.1:9/a.png"),
        ("<iframe src='page.html?again'></iframe>", "page.html?again"),
        ("<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>", "request: http://127.0.0.1:9/"),
        ("<a target=_blank href='about:blank'>x</a><script>document.links[0].click()</script>", "another window"),
        ("<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>", "Security"),
    ],
)
def test_a_fault_is_noticed(faults: Callable[[str], list[str]], html: str, fault: str) -> None:
    assert fault in " ".join(faults(html))
