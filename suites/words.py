"""Text -> words, as the measures of overlap count them."""

from __future__ import annotations

import re

from suites.dialect import SPACE

BREAK = re.compile(f"[{SPACE}]+")
QUOTE = re.compile(r"``|''|\"")
APART: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.{3}"), " ... "),
    (re.compile(r"[:,](?!\d)"), r" \g<0> "),
    (re.compile(r"[;@#$%&]"), r" \g<0> "),
    # The full stop of the last sentence, but not that of "u.s.".
    (re.compile(r"(?<=[^.])(?<!\b[A-Za-z]\.[A-Za-z])\.(?=[\])}>'\s]*$)"), " ."),
    (re.compile(r"[?!\[\](){}<>]|--"), r" \g<0> "),
    (re.compile(r"(?<=[^'])' "), " ' "),
    (re.compile(r"'[sSmMdD] "), r" \g<0>"),
    (re.compile(r"('ll|'re|'ve|n't) ", re.IGNORECASE), r" \g<0>"),
    (re.compile(r"(?<!\w)(can|gon|got|gim|lem|wan(?=na ))(not|na|ta|me)(?!\w)", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r"(?<!\w)(d)('ye)(?!\w)|(?<!\w)(more)('n)(?!\w)", re.IGNORECASE), r" \1\3 \2\4 "),
    (re.compile(r"(?<!\w)('t)(is|was)(?!\w)", re.IGNORECASE), r" \1 \2 "),
)
"""What the rules of the Penn Treebank set apart, in their order."""


def words(text: str) -> list[str]:
    """Return what stands between white space."""
    return [word for word in BREAK.split(text) if word]


def tokens(text: str) -> list[str]:
    """Return words and punctuation by the rules of the Penn Treebank, the text taken as one sentence."""
    text = f" {_quoted(' '.join(words(text)))} "
    for pattern, apart in APART:
        text = pattern.sub(apart, text)
    return text.split()


def _quoted(text: str) -> str:
    """Return the text with its double quotes as `` and ''."""
    opened = False
    pieces, last = [], 0
    for match in QUOTE.finditer(text):
        before = text[match.start() - 1 : match.start()]
        opened = match[0] == "``" or (not opened and match[0] == '"' and before not in (*".!?",))
        pieces += [text[last : match.start()], " `` " if opened else " '' "]
        last = match.end()
    return "".join([*pieces, text[last:]])
