"""HTML: the answer as a whole, or somewhere in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found, shown
from suites.assertions.pattern import search
from suites.reply import Reply

NAMES = """
html head title base link meta style body article section nav aside h1 h2 h3 h4 h5 h6 header footer address p hr pre
blockquote ol ul li dl dt dd figure figcaption main div a em strong small s cite q dfn abbr ruby rt rp data time code
var samp kbd sub sup i b u mark bdi bdo span br wbr img iframe embed object param picture source video audio track map
area svg math script noscript canvas ins del table caption colgroup col tbody thead tfoot tr td th form label input
button select datalist optgroup option textarea output progress meter fieldset legend details summary dialog menu slot
template
"""
ELEMENTS = frozenset(NAMES.split())
"""Of the HTML standard, those out of use left out."""
VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input"))
VOID |= frozenset(("link", "meta", "param", "source", "track", "wbr"))
HEAD = frozenset(("html", "head", "title", "base", "link", "meta", "style", "script"))
"""What may come before the body."""
TABLE_PARTS = frozenset(("caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"))
BLOCKS = frozenset(("address", "article", "aside", "blockquote", "details", "div", "dl", "fieldset", "figcaption"))
BLOCKS |= frozenset(("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "main", "menu"))
BLOCKS |= frozenset(("nav", "ol", "p", "pre", "section", "table", "ul"))
"""What ends a paragraph that is open."""
OPENED = r"<[a-zA-Z][a-zA-Z0-9-]*(?:\s[^>]{0,1000})?>"
CLOSED = r"</[a-zA-Z][a-zA-Z0-9-]*\s*>"
TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<raw>script|style|textarea|title)\b[^>]*>.*?(?:</(?P=raw)\s*>|\Z)|<![^>]*(?:>|\Z)"
    r"|<(?P<closes>/?)(?P<name>[a-z][^\s/>]*)"
    r"""(?:[^"'>=]|=\s*"[^"]*"|=\s*'[^']*'|=(?!\s*["'])|["'])*(?:(?P<end>>)|.*)""",
    re.IGNORECASE | re.DOTALL,
)
"""What has no end takes all that follows; so does a browser, and no letter is read twice."""
COMMON = (
    r"(?i)<(?:html|head|body|div|span|p|a|img|h[1-6]|ul|ol|li|table|tr|td|th|form|input|button|script|style|link|meta"
    r"|br|hr)\b"
)
SIGNS: tuple[tuple[str, int], ...] = (
    (COMMON, 2),
    (r"(?i)<!DOCTYPE\s+html", 2),
    (r"<[a-zA-Z][a-zA-Z0-9-]*(?:\s[^>]{0,1000})?/>", 1),
    (r"&(?:[a-zA-Z]+|#[0-9]+|#x[0-9a-fA-F]+);", 1),
    (r"<!--(?s:.{0,10000}?)-->", 1),
    (r"""\s[a-zA-Z-]+=\s*["'][^"']*["']""", 1),
)
"""What HTML is known by, and how many points it counts; two are enough."""


@dataclass(frozen=True)
class IsHtml:
    """The whole answer is HTML: at least one element of the standard, or a custom one, and no text outside elements."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def check(self, answer: Reply, original: Reply | None) -> Check:
        text = answer.text.strip()
        if not text or re.match(r"<\?xml", text, re.IGNORECASE):
            return found("is-html", False, "the answer is XML, not HTML" if text else "the answer is empty")
        outline = _outline(text)
        if outline.outside and "body" not in outline.elements:
            return found("is-html", False, f"the answer has text outside elements: {shown(outline.outside)}")
        known = sorted(name for name in outline.elements if name in ELEMENTS or "-" in name)
        reason = f"the answer is HTML, with {', '.join(known)}" if known else "the answer has no element of HTML"
        return found("is-html", bool(known), reason)


@dataclass(frozen=True)
class ContainsHtml:
    """The answer has signs of HTML for two points: a common tag or a doctype counts for two by itself.

    One point: a tag that opens, one that closes (both: two points), one that closes itself, an entity, a comment, an
    attribute.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def check(self, answer: Reply, original: Reply | None) -> Check:
        signs = [(match, points) for pattern, points in SIGNS if (match := search(pattern, answer.text)) is not None]
        signs += [(match, 1) for pattern in (OPENED, CLOSED) if (match := search(pattern, answer.text)) is not None]
        points = sum(points for _, points in signs)
        signs_shown = f": {', '.join(shown(match) for match, _ in signs)}" if signs else ""
        return found("contains-html", points >= 2, f"the answer has {points} points of HTML, 2 are asked{signs_shown}")


@dataclass(frozen=True)
class _Outline:
    """The elements of a text, and the first text outside all of them; html and body count as outside."""

    elements: frozenset[str]
    outside: str


def _outline(text: str) -> _Outline:
    elements: set[str] = set()
    opened: list[str] = []
    outside, last = "", 0
    for match in (*TAG.finditer(text), None):
        between = text[last : match.start() if match else len(text)].strip()
        outside = outside or ("" if opened else between)
        if match is None:
            break
        last, name = match.end(), (match["raw"] or match["name"] or "").lower()
        if match["closes"]:
            _close_(opened, name)
        elif name and (match["raw"] or match["end"]) and not _misplaced(name, opened, bool(outside or elements - HEAD)):
            elements.add(name)
            if name in BLOCKS:
                _close_(opened, "p")
            if match["name"] and name not in VOID and name not in ("html", "body"):
                opened.append(name)
    return _Outline(frozenset(elements), outside)


def _misplaced(name: str, opened: list[str], begun: bool) -> bool:
    """Return whether a browser would pass over the tag: a body after what a body holds, a row without its table."""
    return (name == "body" and begun) or (name in TABLE_PARTS and "table" not in opened)


def _close_(opened: list[str], name: str) -> None:
    """Close the innermost element of a name, and all inside it."""
    if name in opened:
        del opened[len(opened) - 1 - opened[::-1].index(name) :]


TYPES: dict[str, type] = {"contains-html": ContainsHtml, "is-html": IsHtml}
