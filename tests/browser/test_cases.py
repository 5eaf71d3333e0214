"""The list of cases as a reader uses it: filters, order, search, links, keys, and cases in files beside the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports import Page, write_folder
from reports.cases import AnswerRow, CaseRow, CheckRow, Kind, TokenRow
from tests.browser.conftest import PHONE
from tests.browser.pages import many, small

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

Show = Callable[..., "Tab"]


def single(*cases: CaseRow) -> Page:
    """A page with one candidate that has these cases."""
    page = small()
    return replace(page, candidates=(replace(page.candidates[2], cases=cases),))


def case(name: str, kind: Kind, before: str = "yes", after: str = "no", **more: Any) -> CaseRow:
    return CaseRow("smoke", name, kind, AnswerRow(before), AnswerRow(after), **more)


@pytest.fixture
def listed(show: Show) -> Show:
    """Open a page as `show` does, and wait for its list."""

    def opened(values: Page, anchor: str = "") -> Tab:
        tab = show(values, anchor)
        tab.locator("form.filters output:not(:empty)").first.wait_for()
        return tab

    return opened


def titles(tab: Tab) -> list[str]:
    return tab.locator(".case .what").all_inner_texts()


def state(tab: Tab) -> str:
    return tab.locator(".filters output").inner_text()


def focused(tab: Tab) -> str:
    return str(tab.evaluate("document.activeElement.closest('summary')?.querySelector('.what')?.textContent"))


def test_losses_are_shown_first_and_counts_follow_the_filters(listed: Show) -> None:
    tab = listed(many(1_000))
    counts = {kind: tab.locator(f"[data-count={kind}]").inner_text() for kind in ("all", "loss", "gain", "pass")}
    assert counts["all"] == "1,000"
    assert state(tab) == f"{counts['loss']} of 1,000 cases"
    assert tab.locator(".case[open]").count() == 2
    assert tab.locator(".plain").count() == 0
    tab.locator("[name=suite]").select_option("suite-1")
    assert tab.locator("[data-count=all]").inner_text() == "250"
    tab.get_by_role("radio", name="Both right").check()
    assert state(tab) == f"{tab.locator('[data-count=pass]').inner_text()} of 1,000 cases"
    assert {*tab.locator(".case .suite").all_inner_texts()} == {"suite-1"}


def test_search_looks_into_every_answer(listed: Show) -> None:
    cases = [case(f"c{at}", "pass", "plain", "plain") for at in range(450)]
    cases[430] = case("far", "pass", "plain", 'a Needle in "hay"\nand more')
    tab = listed(single(*cases))
    tab.get_by_label("Text").fill('needle in "hay"\nand')
    tab.get_by_label("Text").fill('NEEDLE in "hay"')
    tab.get_by_text("1 of 450 cases", exact=True).wait_for()
    assert titles(tab) == ["far"]
    assert tab.locator("[data-count=pass]").inner_text() == "1"


def test_order(listed: Show) -> None:
    tab = listed(
        single(case("small", "churn", "yes", "yeo"), case("same", "pass"), case("large", "churn", "yes", "elsewhere"))
    )
    assert titles(tab) == ["large", "small", "same"]
    tab.get_by_label("Sort by").select_option("order of the suite")
    assert titles(tab) == ["small", "same", "large"]
    tab.get_by_label("Sort by").select_option("size of change")
    assert titles(tab) == ["large", "same", "small"]


def test_sheets(listed: Show) -> None:
    tab = listed(single(*(case(f"c{at:03}", "fail") for at in range(120))))
    assert (len(titles(tab)), tab.locator(".where").inner_text()) == (50, "1 to 50 of 120")
    assert tab.get_by_role("button", name="Previous").is_disabled()
    tab.get_by_role("button", name="Last").click()
    assert (titles(tab)[0], tab.locator(".where").inner_text()) == ("c100", "101 to 120 of 120")
    assert focused(tab) == "c100"
    tab.keyboard.press("k")
    assert focused(tab) == "c099"
    tab.keyboard.press("j")
    assert focused(tab) == "c100"


def test_an_address_leads_to_a_case_and_to_a_filter(listed: Show) -> None:
    page = many(1_000)
    wanted = next(row for row in page.candidates[0].cases[700:] if row.kind == "pass")
    tab = listed(page, f"#cases=cfsp-50&case={wanted.suite}/{wanted.id}")
    tab.get_by_role("link", name=f"{wanted.suite}/{wanted.id}", exact=True).wait_for()
    assert tab.locator(".case[open]").count() == 1
    assert focused(tab) == wanted.description
    tab.get_by_role("radio", name="Losses").check()
    tab.locator("[name=tag]").select_option("topic-3")
    shown, address = titles(tab), tab.url
    assert "tag=topic-3" in address
    tab.goto("about:blank")
    tab.goto(address)
    tab.locator(".case").first.wait_for()
    assert titles(tab) == shown
    assert tab.locator("[name=tag]").input_value() == "topic-3"


def test_an_opened_case_is_what_the_address_names(listed: Show) -> None:
    tab = listed(single(case("a b/c&d", "pass"), case("other", "pass")))
    tab.get_by_text("a b/c&d").click()
    assert tab.url.endswith("#cases=cfsp-50&case=smoke%2Fa+b%2Fc%26d")
    assert tab.locator(".id a").get_attribute("href") == "#cases=cfsp-50&case=smoke%2Fa+b%2Fc%26d"
    tab.get_by_text("a b/c&d").first.click()
    assert tab.url.endswith("#cases=cfsp-50")


def test_an_address_of_a_case_that_is_gone_says_so(listed: Show) -> None:
    tab = listed(single(case("a", "pass")), "#cases=cfsp-50&case=smoke/gone")
    tab.get_by_text("no case smoke/gone here").wait_for()


def test_keys(listed: Show) -> None:
    tab = listed(single(*(case(f"c{at}", "loss") for at in range(4))))
    tab.keyboard.press("j")
    tab.keyboard.press("j")
    tab.keyboard.press("ArrowDown")
    assert focused(tab) == "c2"
    tab.keyboard.press("Enter")
    assert tab.locator(".case").nth(2).get_attribute("open") is not None
    tab.keyboard.press("/")
    tab.keyboard.type("jk")
    assert tab.get_by_label("Text").input_value() == "jk"
    tab.keyboard.press("Tab")
    tab.keyboard.press("?")
    assert tab.get_by_role("dialog", name="Keys").is_visible()
    tab.get_by_label("Keys are on").uncheck()
    tab.keyboard.press("Escape")
    assert not tab.get_by_role("dialog", name="Keys").is_visible()
    tab.keyboard.press("?")
    assert not tab.get_by_role("dialog", name="Keys").is_visible()


def test_scores_are_said_where_an_assertion_is_partly_met(listed: Show) -> None:
    checks = (CheckRow("rouge-n", False, "shares words", score=0.417), CheckRow("equals", True, "equal", score=1.0))
    one = replace(case("c", "loss"), after=AnswerRow("no", checks, score=0.7085))
    tab = listed(single(one))
    assert tab.locator(".side h4").all_inner_texts() == ["Before", "After, score 0.71"]
    assert tab.locator(".checks li").all_inner_texts() == [
        "✗ failed rouge-n shares words, score 0.42",
        "✓ passed equals equal",
    ]


def test_flaky_cases_can_be_looked_at_alone(listed: Show) -> None:
    before = AnswerRow("yes", passes=3)
    flaky = replace(case("now and then", "loss", flaky=True, repeats=5), before=before)
    tab = listed(single(case("always", "loss"), flaky))
    tab.locator("[name=flaky]").select_option("flaky")
    assert titles(tab) == ["now and then"]
    assert tab.locator(".flaky").inner_text() == "flaky"
    assert tab.url.endswith("#cases=cfsp-50&flaky=yes")
    tab.locator("summary", has_text="now and then").click()
    assert tab.locator(".side h4").all_inner_texts() == ["Before, 3 of 5 pass", "After"]


def test_words_that_changed_and_tokens_that_diverge(listed: Show) -> None:
    tokens = (TokenRow("It is ", 0.01), TokenRow("Lyon", 2.5))
    one = case("c", "loss", "It is Paris", "It is Lyon")
    tab = listed(single(replace(one, after=replace(one.after, tokens=tokens))))
    assert tab.locator("del").all_inner_texts() == ["Paris"]
    assert tab.locator("ins").all_inner_texts() == ["Lyon"]
    tab.get_by_label("Tokens by divergence").check()
    tab.locator(".side .token").first.wait_for()
    assert [token.get_attribute("title") for token in tab.locator(".side .token").all()] == [
        "KL 0.01 nats",
        "KL 2.5 nats",
    ]
    assert tab.locator(".side [data-step='4']").inner_text() == "Lyon"
    assert "Tokens by KL divergence in nats" in tab.locator(".steps").inner_text()


@pytest.mark.parametrize("context_options", [{"viewport": PHONE}])
def test_a_phone_has_room_for_everything(listed: Show) -> None:
    tab = listed(many(200))
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    before, after = (side.bounding_box() for side in tab.locator(".case").first.locator(".side").all())
    assert before
    assert after
    assert after["y"] >= before["y"] + before["height"]


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_the_first_losses_are_there_without_script(show: Show) -> None:
    tab = show(many(1_000))
    assert {*tab.locator(".case .kind").all_inner_texts()} == {"Loss"}
    assert tab.locator(".case").count() == 20
    assert not tab.locator("form.filters").is_visible()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page of 1,000 cases with their texts beside it."""
    write_folder(many(1_000), tmp_path)
    return tmp_path


class TestFolder:
    """Only what is opened is read; from disk, where nothing can be fetched."""

    @pytest.fixture
    def may_load(self, folder: Path) -> tuple[str, ...]:
        return ((folder / "cases").as_uri(),)

    def test_only_chunks_that_are_shown_are_read(self, page: Tab, folder: Path) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((folder / "index.html").as_uri())
        page.locator(".case[open] .body").nth(1).wait_for()
        assert len(asked) == 2
        page.get_by_label("Text").fill("case-999")
        page.get_by_text("0 of 1,000 cases", exact=True).wait_for()
        assert len(asked) == 1 + len([*(folder / "cases").iterdir()])


def test_a_file_that_is_not_there_is_said_and_asked_for_again(browser: Browser, folder: Path) -> None:
    tab = browser.new_page()
    chunks = {path: path.read_text() for path in (folder / "cases").iterdir()}
    for path in chunks:
        path.unlink()
    tab.goto((folder / "index.html").as_uri())
    told = tab.locator(".case[open] .body").first
    told.get_by_text("cannot load cases/").wait_for()
    for path, text in chunks.items():
        path.write_text(text)
    for _ in range(2):
        tab.locator(".case summary").first.click()
    told.locator(".sides").wait_for()
    tab.close()
