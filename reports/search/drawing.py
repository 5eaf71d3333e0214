"""SearchPage -> one HTML text that needs nothing else, and onto disk."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from reports import assets
from reports.environment import environment
from reports.saving import save
from reports.search import chart
from reports.search.page import SearchPage


def render_search(page: SearchPage) -> str:
    """The whole page as one HTML text."""
    style = assets.style()
    template = environment().get_template("search.html")
    return template.render(
        page=page, at=chart, drawn=chart.chart(page), style=Markup(style), policy=assets.policy(style, "")
    )


def write_search(page: SearchPage, path: Path) -> None:
    """Write the page, whole or not at all. Raises ReportError if the folder is absent or cannot be written to."""
    save(render_search(page), path)
