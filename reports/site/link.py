"""What every page of a site has: links to others, and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Word = Literal["PASS", "REGRESSION", "INCONCLUSIVE", "ERROR"]
"""A verdict, or ERROR: the candidate could not be judged."""


@dataclass(frozen=True)
class Link:
    """Words that lead to a page of the site; with an empty page they are words."""

    text: str
    page: str = ""
    """Name of the file from the top of the site, such as "jobs/02deccc6.html"."""
