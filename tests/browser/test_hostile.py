"""Model output, prompts, names and metadata are shown as text, whatever they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reports.visible import visible
from tests.browser.hostile import page_of, page_of_all, strings

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

KINDS = 6
"""Fields that allow some words only have at most so many."""

LOOK = """async () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  const drawn = () => [...document.querySelectorAll(".case")].every((one) => one.querySelector(".body"));
  while (!drawn()) await new Promise((resolve) => setTimeout(resolve, 10));
  const all = [...document.querySelectorAll("*")];
  const tally = {};
  for (const one of all) {
    const key = [one.localName, ...one.getAttributeNames().sort()].join(" ");
    tally[key] = (tally[key] || 0) + 1;
  }
  const shown = document.body.cloneNode(true);
  for (const one of shown.querySelectorAll("script, style")) one.remove();
  const named = (name) => all.filter((one) => one.hasAttribute(name)).map((one) => one.getAttribute(name));
  return {
    tally,
    text: shown.textContent,
    ids: named("id"),
    named: ["id", "name", "for", "aria-labelledby", "headers"].flatMap(named),
    followed: ["href", "src", "action", "formaction", "srcset", "data"].flatMap(named),
    policies: document.querySelectorAll("meta[http-equiv=Content-Security-Policy]").length,
  };
}"""


def looked(tab: Tab) -> dict[str, Any]:
    """What is in the document once everything in it is drawn and open."""
    if tab.locator("[data-cases]").count():
        tab.locator("form.filters output:not(:empty)").wait_for()
    seen: dict[str, Any] = tab.evaluate(LOOK)
    return seen


def elements(seen: dict[str, Any]) -> set[str]:
    """Names of elements."""
    return {one.partition(" ")[0] for one in seen["tally"]}


def plain(text: str) -> str:
    return " ".join(text.split())


def test_every_string_in_every_field_is_text(show: Callable[..., Tab]) -> None:
    """The same elements with the same attributes as with a plain word, and the string as often as the word."""
    wanted = [looked(show(page_of("plainword", choice))) for choice in range(KINDS)]
    for number, text in enumerate(strings()):
        want, seen = wanted[number % KINDS], looked(show(page_of(text, number % KINDS)))
        assert seen["tally"] == want["tally"], text
        assert seen["policies"] == 1, text
        assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in seen["named"]), text
        assert all(re.fullmatch(r"#[a-z0-9-]+|#cases=[\w.*%+&=-]+", address) for address in seen["followed"]), text
        shown = plain(visible(text))
        if shown:
            assert plain(seen["text"]).count(shown) >= want["text"].count("plainword"), text


def test_all_strings_side_by_side(show: Callable[..., Tab]) -> None:
    """No name stands in for another's, or for one of the browser's own."""
    expected = elements(looked(show(page_of("plainword"))))
    tab = show(page_of_all())
    seen = looked(tab)
    assert elements(seen) <= expected
    assert len(set(seen["ids"])) == len(seen["ids"])
    tab.get_by_role("radio", name="All").check()
    following = tab.get_by_role("button", name="Next")
    while following.is_enabled():
        following.click()
        assert elements(looked(tab)) <= expected
    assert tab.evaluate("document.body instanceof HTMLBodyElement && document.cookie === '' && self === window")
    shown = plain(seen["text"])
    for text in strings():
        assert plain(visible(text)) in shown, text
