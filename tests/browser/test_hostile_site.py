"""Names, reasons, prompts and answers are text on every page of the site too."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from harness.live import FILE, Sign
from harness.progress import silent
from harness.site.serving import served
from harness.site.viewing import Viewed
from harness.site.viewing import pages as pages_of
from reports.site import pages
from reports.site.drawing import TEMPLATES, draw
from reports.visible import visible
from tests.browser.hostile import filled, strings
from tests.browser.test_hostile import elements, looked, plain

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

STATIC = [kind for kind in TEMPLATES if kind is not pages.LivePage]
"""The live page holds no text until the server of `secateur view` fills it."""
CHOICES = 4
ALONE = strings()[::16]
"""Drawn one at a time, so that each is in the fields too of which a page has only one."""
LEADS = re.compile(r"(jobs/0a|[a-z]+)\.html|compare\.html#.*|#main", re.DOTALL)


def page_of(kind: type, texts: tuple[str, ...], choice: int = 0) -> pages.SitePage:
    if kind is pages.ComparePage:
        metrics = [(text, "share", True) for text in texts]
        values = [(number, 0.5, 1) for number in range(len(texts))]
        runs = [(text, text, "jobs/0a.html", values) for text in texts] * 2
        pairs = [(0, 1, "PASS", [(0, 0.1, None, None)])]
        return pages.ComparePage({"metrics": metrics, "runs": runs, "pairs": pairs}, len(runs))
    page: pages.SitePage = filled(kind, texts, choice)
    return page


def opened(tab: Tab, page: pages.SitePage, folder: Path) -> Tab:
    path = folder / "page.html"
    path.write_text(draw(page, "page.html"), "utf-8")
    tab.goto(path.as_uri())
    return tab


@pytest.mark.parametrize("kind", STATIC, ids=TEMPLATES.get)
def test_every_page_shows_strings_as_text(page: Tab, tmp_path: Path, kind: type) -> None:
    wanted = [looked(opened(page, page_of(kind, ("plainword",), choice), tmp_path)) for choice in range(CHOICES)]
    for number, text in enumerate(ALONE):
        choice = number % CHOICES
        want, seen = wanted[choice], looked(opened(page, page_of(kind, (text,), choice), tmp_path))
        assert seen["tally"] == want["tally"], text
        assert plain(seen["text"]).count(plain(visible(text))) >= want["text"].count("plainword"), text
    seen = looked(opened(page, page_of(kind, strings()), tmp_path))
    assert elements(seen) <= set().union(*map(elements, wanted))
    assert seen["policies"] == 1
    assert len(set(seen["ids"])) == len(seen["ids"])
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in seen["named"])
    assert all(LEADS.fullmatch(address) for address in seen["followed"])


def test_search_finds_every_string_as_it_is_shown(page: Tab, tmp_path: Path) -> None:
    opened(page, page_of(pages.SearchPage, strings()), tmp_path)
    for text in ("__proto__", "<script>alert('h1')</script>", "::error file=x,line=1::h295"):
        page.get_by_role("searchbox").fill(text)
        assert text in page.locator("[data-found]").inner_text()


@pytest.mark.parametrize("kind", [pages.SearchPage, pages.ComparePage], ids=TEMPLATES.get)
@pytest.mark.parametrize("anchor", ["#%", "#%E0%A4%A+%", "#<img src=x onerror=alert(1)>", "#__proto__+constructor"])
def test_an_address_can_hold_anything(page: Tab, tmp_path: Path, kind: type, anchor: str) -> None:
    opened(page, page_of(kind, ("plainword",)), tmp_path)
    page.goto(page.url.partition("#")[0] + anchor)
    page.reload()
    page.locator("main h1").wait_for()


@pytest.mark.parametrize("may_load", [("http://127.0.0.1:",)])
def test_what_a_run_says_of_itself_is_text(page: Tab, tmp_path: Path) -> None:
    """On a shared disk anyone may have written it."""
    viewed = Viewed(tmp_path, 0, silent, print)
    with served(pages_of(viewed), 0) as address:
        page.goto(address)
        wanted = None
        for text in ("plainword", *filter(sendable, ALONE)):
            sign = replace(filled(Sign, (text,)), state="stopped")
            (tmp_path / FILE).write_bytes(TypeAdapter(Sign).dump_json(sign))
            page.reload()
            page.get_by_text(f"It stopped: {plain(visible(text))}").first.wait_for()
            seen = looked(page)
            wanted = wanted or seen
            assert seen["tally"] == wanted["tally"], text


def sendable(text: str) -> bool:
    """Whether JSON in UTF-8 can hold it."""
    return text.encode("utf-8", "ignore").decode() == text
