"""The page is complete, stands alone, and shows hostile text as text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal, get_origin, get_type_hints

import pytest
from jinja2 import DictLoader, UndefinedError

from reports.environment import environment
from reports.errors import ReportError
from reports.page import Fact, Page
from reports.render import render, write
from reports.visible import visible

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</style><style>*{display:none}</style>",
    "</script><script>alert(1)</script>",
    "<!-- <svg onload=alert(1)> -->",
    "{{ 7 * 7 }}{% for x in y %}{{ x }}",
    "https://example.org/<a href=//example.org>",
    "a\u202eb\u2066c\x00d\x1be\x7ff\x9bg\ud800h",
)

SAFE_TO_FOLLOW = re.compile(r"#([a-z0-9-]+|cases=[\w.~/%-]+&case=[\w.~/%-]+)", re.ASCII)


class Tree(HTMLParser):
    """Every tag with its attributes, and the text outside style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.raw: dict[str, str] = {}
        self.inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = "data" if ("type", "text/plain") in attrs else tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("style", "script"):
            self.raw[self.inside] = data
        elif self.inside != "data":
            self.texts.append(data)

    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def shape(self) -> Counter[tuple[str, tuple[str, ...]]]:
        """How often each tag occurs with which attribute names."""
        return Counter((tag, tuple(sorted(attrs))) for tag, attrs in self.tags)


def refilled(value: Any, text: str) -> Any:
    """The value with every free string in it replaced; words of a fixed list stay."""
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(refilled(part, text) for part in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    hints = get_type_hints(type(value))
    changed = {
        field.name: refilled(getattr(value, field.name), text)
        for field in dataclasses.fields(value)
        if get_origin(hints[field.name]) is not Literal
    }
    return dataclasses.replace(value, **changed)


def test_shows_verdicts_gates_and_answers(example: Page) -> None:
    text = Tree(render(example)).text()
    said = "1 of 3 candidates got worse than its gates allow: cfsp-50. Exit code 1."
    assert f"REGRESSION Is the smaller support bot still good enough? {said}" in text
    for candidate in example.candidates:
        assert candidate.reason in text
        for gate in candidate.gates:
            assert gate.reason in text
    assert "drop of 41.2 points 35.2 to 47.2" in text
    assert "not answered: longer than the model's context of 2048 tokens" in text
    assert "2 cases were not answered and count as failed." in text


def test_a_history_is_shown_where_there_is_one(example: Page) -> None:
    assert render(example).count(">Over time</h3>") == 1
    assert "2026-11-22 worse: the level went from 70.3 % to 69.9 %" in render(example)


def test_missing_is_not_zero(example: Page) -> None:
    gate = dataclasses.replace(example.candidates[2].gates[1], before=None)
    only = dataclasses.replace(example.candidates[2], gates=(gate,), numbers=(), cases=(), tags=(), pattern=())
    text = Tree(render(dataclasses.replace(example, candidates=(only, only)))).text()
    title = "arc_easy.acc: REGRESSION; not measured; limit 3"
    assert f"– – – {title} not measured – The candidate gave no number." in text
    assert "cfsp-50 REGRESSION not measured not measured not measured not measured" in text


def test_losses_are_there_without_the_script(example: Page) -> None:
    tree = Tree(render(dataclasses.replace(example, candidates=example.candidates[1:2])))
    words = [
        attrs["class"] for tag, attrs in tree.tags if tag == "span" and (attrs.get("class") or "").startswith("kind")
    ]
    assert words == ["kind loss"] * 4 + ["kind gain", "kind churn"]
    assert "8 more cases are listed where a browser runs this page's script." in tree.text()


def test_every_link_inside_the_page_leads_somewhere(example: Page) -> None:
    tags = Tree(render(example)).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    links = {link for _, attrs in tags if (link := attrs.get("href") or "").startswith("#") and "=" not in link}
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} <= set(ids)
    assert "#c3-fidelity" in links


def test_a_page_of_one_candidate_says_nothing_twice(example: Page) -> None:
    html = render(dataclasses.replace(example, candidates=example.candidates[2:]))
    assert "Candidates side by side" not in html
    assert html.count('class="banner') == 1
    assert Tree(html).text().count("178 MB") == 2, "at the top, and in the table of sizes"


def test_stands_alone(example: Page) -> None:
    tree = Tree(render(example))
    for tag, attrs in tree.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img", "image", "use", "foreignobject")
        assert not {"src", "srcset", "action", "style", "xlink:href"} & attrs.keys()
        assert not [name for name in attrs if name.startswith("on")]
        if "href" in attrs:
            assert SAFE_TO_FOLLOW.fullmatch(attrs["href"] or "")
    assert "url(" not in tree.raw["style"]
    assert "@import" not in tree.raw["style"]


def test_policy_allows_only_our_style_and_script(example: Page) -> None:
    tree = Tree(render(example))
    policy = next(attrs["content"] for _, attrs in tree.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for name, text in tree.raw.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(example: Page, text: str) -> None:
    """The same tags with the same attributes as with a plain word, and the text itself is there to read."""
    plain = Tree(render(refilled(example, "word")))
    hostile = Tree(render(refilled(example, text)))
    assert hostile.shape() == plain.shape()
    assert hostile.raw == plain.raw
    assert " ".join(visible(text).split()) in hostile.text()


def test_only_a_web_address_is_a_link(example: Page) -> None:
    urls = ("https://dashboard.promptlayer.com/workspace/1?sheet=2-b", "javascript:alert(1)", "https://x/' onclick='y")
    facts = tuple(Fact("PromptLayer", "the cases", url) for url in urls)
    tree = Tree(render(dataclasses.replace(example, provenance=facts)))
    assert [attrs["href"] for tag, attrs in tree.tags if tag == "a" and "rel" in attrs] == [urls[0]]


def test_hidden_characters_are_spelt_out() -> None:
    assert visible("a\u202eb\x00\x1b\x7f\ud800\tc\n") == "a⟨U+202E⟩b␀␛⟨U+007F⟩⟨U+D800⟩\tc\n"
    assert visible("Par\u200bis\ufeff\u2028\U000e0041") == "Par⟨U+200B⟩is⟨U+FEFF⟩⟨U+2028⟩⟨U+E0041⟩"
    assert visible("e" + 8 * "\u0301" + "x") == "e" + 6 * "\u0301" + "⟨U+0301⟩⟨U+0301⟩x"
    assert visible("می‌خواهم 👨‍👩‍👧 ❤️") == "می‌خواهم 👨‍👩‍👧 ❤️"


def test_misspelt_field_is_an_error(example: Page) -> None:
    drawing = environment().overlay(loader=DictLoader({"wrong": "{{ page.titel }}"}))
    with pytest.raises(UndefinedError, match="titel"):
        drawing.get_template("wrong").render(page=example)


def test_none_in_a_template_is_an_error(example: Page) -> None:
    drawing = environment().overlay(loader=DictLoader({"wrong": "{{ gate.before }}"}))
    with pytest.raises(ReportError, match="None"):
        drawing.get_template("wrong").render(gate=example.candidates[0].gates[1])


def test_write_replaces_the_file(example: Page, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write(example, path)
    assert path.read_text("utf-8") == render(example)
    assert list(tmp_path.iterdir()) == [path]


def test_write_says_what_is_wrong(example: Page, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"absent/report\.html: cannot write the report: No such file or directory"):
        write(example, tmp_path / "absent" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportError, match=r"report\.html: cannot write the report"):
        write(example, tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_contrast_is_enough() -> None:
    """WCAG 2 AA, 4.5 to 1, for every pair of text and ground, light, dark and printed."""
    style = (Path(__file__).parents[2] / "reports/templates/styles/base.css").read_text("utf-8")
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in re.findall(r":root \{[^}]+\}", style)
    ]
    assert len(themes) == 3
    pairs = [(tone, ground) for tone in ("ink", "soft", "accent") for ground in ("paper", "card", "faint")]
    pairs += [(tone, ground) for tone in ("good", "bad", "unsure") for ground in ("paper", "card", f"{tone}-wash")]
    pairs += [("ink", "good-wash"), ("ink", "bad-wash"), ("ink", "unsure-wash"), ("accent", "mark")]
    for theme in themes:
        colours = themes[0] | theme
        for tone, ground in pairs:
            assert contrast(colours[tone], colours[ground]) >= 4.5, (tone, ground, colours[tone], colours[ground])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
