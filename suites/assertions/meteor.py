"""Words that the answer shares with a text, stems and synonyms too: meteor."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suites.assertions import Check, graded_check, references
from suites.reply import Reply
from suites.words import words

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader


@dataclass(frozen=True)
class Meteor:
    """METEOR (Banerjee and Lavie 2005) with alpha 0.9, beta 3, gamma 0.5, by NLTK and its WordNet.

    Full stops at the ends of words are left out; the best of several references counts.
    """

    value: object
    threshold: float | None = None

    def __post_init__(self) -> None:
        references("meteor", self.value)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset() if _wordnet() else frozenset({"wordnet"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        from nltk.translate.meteor_score import single_meteor_score

        ours = _plain(answer.text)
        scores = [
            float(single_meteor_score(_plain(reference), ours, wordnet=_wordnet())) if ours else 0.0
            for reference in references("meteor", self.value)
        ]
        return graded_check("meteor", max(scores), self.threshold, 0.5)


def _plain(text: str) -> list[str]:
    return [word.rstrip(".") for word in words(text)]


@functools.cache
def _wordnet() -> WordNetCorpusReader | None:
    """Return NLTK's WordNet, None where it or NLTK is not installed."""
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except (ImportError, LookupError, OSError):
        return None
    reader: WordNetCorpusReader = wordnet
    return reader


TYPES: dict[str, type] = {"meteor": Meteor}
