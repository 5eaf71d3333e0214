"""The site in a browser: what its scripts do, from disk and served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.live.telling import told
from harness.progress import silent
from harness.site.serving import served
from harness.site.viewing import Viewed, pages
from harness.stores.duckdb_store import DuckdbStore
from tests.browser.conftest import PHONE
from tests.browser.test_accessible import violations
from tests.races.site import fill

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

JOBS = 45


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with its site: jobs of five plans, one level changed and one result blessed."""
    folder = tmp_path_factory.mktemp("out")
    store = DuckdbStore(folder / "secateur.duckdb")
    fill(store, 0, JOBS)
    store.file.execute(
        "UPDATE deltas SET after = after - 0.1 WHERE metric = 'smoke.pass_rate' AND job > '00000018'", []
    )
    store.file.execute(
        "INSERT INTO baselines VALUES ('prod', '00000005', 'small', '2024-02-01T00:00:00+00:00', '')", []
    )
    store.file.execute("DELETE FROM grades WHERE case_id > 'case-011'", [])
    Viewed(folder, 0, silent, pytest.fail).refresh()
    return folder


@pytest.fixture
def may_load(out: Path) -> tuple[str, ...]:
    return ((out / "site").as_uri(), "http://127.0.0.1:")


@pytest.fixture
def served_at(out: Path) -> Iterator[str]:
    with served(pages(Viewed(out, 0, silent, pytest.fail)), 0) as address:
        yield address


def opened(tab: Tab, out: Path, name: str) -> Tab:
    file, _, anchor = name.partition("#")
    tab.goto(f"{(out / 'site' / file).as_uri()}#{anchor}")
    return tab


def every_kind(out: Path) -> list[str]:
    """One page of each kind."""
    site = out / "site"
    folders = [min(site.glob(f"{folder}/*.html")) for folder in ("jobs", "trends", "suites")]
    return [path.relative_to(site).as_posix() for path in (*folders, *sorted(site.glob("*.html")))]


def test_no_page_is_wider_than_a_phone(page: Tab, out: Path) -> None:
    page.set_viewport_size(PHONE)
    for name in every_kind(out):
        opened(page, out, name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_every_link_leads_to_a_page(page: Tab, out: Path) -> None:
    for name in every_kind(out):
        opened(page, out, name)
        for address in page.eval_on_selector_all("a", "links => links.map((link) => link.href)"):
            assert Path(address.removeprefix("file://").partition("#")[0]).is_file(), (name, address)


def test_two_runs_are_shown_side_by_side(page: Tab, out: Path) -> None:
    opened(page, out, "jobs/0000002c.html").get_by_role("link", name="The two runs in numbers").first.click()
    result = page.locator("[data-result]")
    assert "They were compared when they ran: " in result.inner_text()
    row = result.get_by_role("row", name=re.compile("smoke.pass_rate"))
    assert row.locator("td").nth(0).inner_text() == "80.0 %"
    assert " to " in row.locator("td").nth(5).inner_text()
    assert result.locator("pre").inner_text() == "secateur compare b0000002c a0000002c"
    page.get_by_label("Before").fill("a00000001")
    assert "there are the numbers only" in result.inner_text()
    assert result.locator("pre").count() == 0
    assert page.url.endswith("compare.html#a00000001+a0000002c")
    page.get_by_role("button", name="Swap").click()
    assert page.get_by_label("After").input_value() == "a00000001"
    page.get_by_label("After").fill("nothing")
    assert "Choose a run on each side" in result.inner_text()


def test_search_finds_by_words_in_any_order(page: Tab, out: Path) -> None:
    opened(page, out, "search.html")
    page.get_by_role("searchbox").fill("small smoke.pass_rate support")
    found = page.locator("[data-found] a")
    assert found.all_inner_texts() == [
        "smoke.pass_rate of small in support",
        "smoke.pass_rate of smaller in support",
    ]
    found.first.click()
    assert page.get_by_role("heading", level=1).inner_text() == "small over time"
    page.go_back()
    assert page.get_by_role("searchbox").input_value() == "small smoke.pass_rate support"


def test_the_list_of_jobs_is_filtered(page: Tab, out: Path) -> None:
    opened(page, out, "index.html")
    page.get_by_role("searchbox").fill("code 2024-01-")
    rows = page.locator("[data-row]:visible")
    assert rows.count() == JOBS // 5
    assert page.locator("form output").inner_text() == f"{JOBS // 5} of {JOBS}"
    assert all("code" in text for text in rows.all_inner_texts())


def test_a_history_shows_what_is_unusual(page: Tab, out: Path) -> None:
    opened(page, out, "trends.html").get_by_role("link", name="large").first.click()
    section = page.locator("section", has=page.get_by_role("heading", name=re.compile("^smoke.pass_rate")))
    assert "worse: the level went from" in section.inner_text()
    assert section.locator("svg .level").count() == 2
    assert section.locator("svg .dot.change").count() == 1


def test_a_run_is_followed_while_it_goes_on(page: Tab, out: Path, served_at: str) -> None:
    page.goto(f"{served_at}live.html")
    page.get_by_text("No run has said anything").wait_for()
    with told(out, "nightly", silent) as telling:
        telling("small: smoke, 61.2 % of 80 right, 35 tokens/s", 80, 235)
        page.get_by_text("It is going on.").wait_for()
        assert page.get_by_role("heading", name="small").is_visible()
        assert page.get_by_text("80 of 235").is_visible()
        assert not violations(page)
        telling("small: smoke, 60.0 % of 235 right", 235, 235)
        telling.ended("0000002c", 1)
    page.get_by_text("It has ended: REGRESSION.").wait_for()
    page.get_by_role("link", name="job 0000002c").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Job 0000002c"
    (out / "progress.json").unlink()
