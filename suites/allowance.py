"""Allowance: what a user lets a suite do, and what its assertions can be given."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

HOW: dict[str, str] = {
    "code": "it runs code of the suite; give --allow-code if you trust its author",
    "finish": "it needs to know why an answer ended",
    "seconds": "it needs the time an answer took",
    "cost": "it needs the price of an answer; the plan gives one, as price: {per_hour: ...}",
    "tokens": "it needs the tokens of an answer, which an endpoint does not tell",
    "wordnet": "it needs NLTK's WordNet: python -m nltk.downloader wordnet, or NLTK_DATA=folder with corpora/wordnet",
    "mini-racer": "it needs mini-racer: pip install 'secateur[javascript]'",
    "sqlglot": "it needs sqlglot: pip install 'secateur[sql]'",
    "judge": "it needs a judge; the plan names one, as judge: {model: ...}, and suite run takes --judge",
    "divergences": "it needs the probabilities of all tokens, which an endpoint does not tell",
    "embeddings": "it needs embeddings; the plan names a model of them, and suite run takes --embeddings",
    "logprobs": "it needs the log-probabilities of an answer's tokens, which an endpoint is not asked for",
}
"""What an assertion may need, and what to say where it cannot be had; of what is installed, only what is not."""


@dataclass(frozen=True)
class Allowance:
    """By default no code of the suite runs, nothing is skipped, and all facts of an answer are at hand."""

    code: bool = False
    skip_unsupported: bool = False
    """Whether assertions that cannot be checked here are counted as not checked, instead of refused."""
    known: frozenset[str] = frozenset(HOW) - {"code", "embeddings", "judge", "mini-racer", "sqlglot", "wordnet"}
    """Facts that every answer will come with."""
    outside: bool = False
    """Whether the files that a suite names may lie outside its own folder."""
    env: frozenset[str] = frozenset()
    """Environment variables that templates may read, as env.NAME."""

    def missing(self, needs: Collection[str]) -> str | None:
        """Return why an assertion with these needs cannot be checked, None if it can."""
        given = self.known | {"code"} if self.code else self.known
        lacking = sorted(set(needs) & HOW.keys() - given)
        return HOW[lacking[0]] if lacking else None


CAREFUL = Allowance()
