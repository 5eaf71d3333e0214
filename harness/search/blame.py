"""On which kind of items a candidate loses most, where chance does not explain it."""

from __future__ import annotations

from collections import Counter

from harness.statistics.paired import mcnemar
from harness.verdicts.compare import Comparison

UNLIKELY = 0.05
"""The exact McNemar p of a tag, one-sided and times the number of tags, above which nothing is said of it."""


def blame(comparison: Comparison) -> str:
    """One sentence that names the tag with the clearest losses; empty where no tag stands out from chance."""
    losses: Counter[tuple[str, str]] = Counter()
    gains: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    for pair in comparison.cases:
        tags = [(pair.suite, tag) for tag in pair.case.tags]
        asked.update(tags)
        losses.update(tags if pair.kind == "loss" else ())
        gains.update(tags if pair.kind == "gain" else ())
    if not asked:
        return ""
    levels = {tag: mcnemar(losses[tag], gains[tag], "worse") for tag in asked}
    worst = min(levels, key=lambda tag: (levels[tag], tag))
    if levels[worst] * len(levels) > UNLIKELY:
        return ""
    suite, tag = worst
    return f"It loses most on {tag} cases of {suite}: {losses[worst]} lost, {gains[worst]} gained of {asked[worst]}."
