"""The `__expected` columns of a table: one cell -> an assertion as YAML would state it."""

from __future__ import annotations

import functools
import re
from dataclasses import fields

from suites.assertions import load, names
from suites.unsupported import UNSUPPORTED

PROGRAMS = ("javascript:", "fn:", "eval:")
THRESHOLDS = {
    **dict.fromkeys(("answer-relevance", "classifier", "context-faithfulness", "context-recall"), 0.75),
    **dict.fromkeys(("context-relevance", "cost", "latency", "levenshtein", "perplexity-score"), 0.75),
    **dict.fromkeys(("perplexity", "rouge-n"), 0.75),
    "similar": 0.8,
}
"""Types that read the number in TYPE(NUMBER), and what it is where none is given."""


def assertion_of(cell: str) -> dict[str, object]:
    """Return what a cell such as `contains: Paris`, `levenshtein(3): Paris` or plain `Paris` asserts."""
    text = cell.strip()
    for prefix in PROGRAMS:
        if text.startswith(prefix):
            return {"type": "javascript", "value": text.removeprefix(prefix).strip()}
    if text.startswith("file://") and re.search(r"\.[cm]?[jt]s(:|$)", text):
        return {"type": "javascript", "value": text}
    if text.startswith("file://") and re.search(r"\.py(:|$)", text):
        return {"type": "python", "value": text}
    if text.startswith("grade:"):
        return {"type": "llm-rubric", "value": text.removeprefix("grade:")}
    found = _pattern().fullmatch(text)
    return _typed(*found.groups()) if found else {"type": "equals", "value": text}


@functools.cache
def _pattern() -> re.Pattern[str]:
    types = "|".join(map(re.escape, sorted({*names(), *UNSUPPORTED}, key=len, reverse=True)))
    return re.compile(rf"(not-)?({types})(?:\((\d+(?:\.\d+)?)\))?(?::(.*))?", re.DOTALL)


def _typed(negation: str | None, type: str, number: str | None, value: str | None) -> dict[str, object]:
    stated: dict[str, object] = {"type": f"{negation or ''}{type}"}
    if value is not None:
        stated["value"] = value.strip()
    if type in THRESHOLDS:
        stated["threshold"] = THRESHOLDS[type] if number is None else float(number)
    return stated


def takes_threshold(type: str) -> bool:
    """Return whether an assertion of this type, with or without `not-`, has a threshold."""
    name = type.removeprefix("not-")
    return name not in UNSUPPORTED and "threshold" in {each.name for each in fields(load(name))}
