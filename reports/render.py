"""Page -> one HTML text that needs nothing else, and onto disk.

Style and script are the package's own files; the page's Content-Security-Policy allows them by hash and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from reports import assets
from reports.data import as_json
from reports.environment import environment
from reports.listing import listing
from reports.page import Page
from reports.payload import Payload, payload
from reports.saving import save

MOST_OPEN = 4
"""Candidates that lie open on the page; of more, each shows its verdict and folds the rest away."""


def render(page: Page) -> str:
    """The whole page as one HTML text."""
    return drawn(page, payloads(page))


def payloads(page: Page) -> list[Payload]:
    """The cases of each candidate as data."""
    return [payload(listing(candidate.cases)) for candidate in page.candidates]


def drawn(page: Page, payloads: Sequence[Payload], beside: bool = False) -> str:
    """The page with the cases of each candidate; if `beside`, what they say is not in it but in files beside it."""
    style, script = assets.style(), assets.script()
    return (
        environment()
        .get_template("page.html")
        .render(
            page=page,
            payloads=payloads,
            folded=len(page.candidates) > MOST_OPEN,
            beside=beside,
            data=Markup(as_json(page)),
            style=Markup(style),
            script=Markup(script),
            policy=assets.policy(style, script, loads=beside),
        )
    )


def write(page: Page, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises: ReportError, if the folder is absent or cannot be written to.
    """
    save(render(page), path)
