"""Page -> one HTML text that needs nothing else, and onto disk.

Style and script are the package's own files; the page's Content-Security-Policy allows them by hash and nothing else.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from markupsafe import Markup

from reports import assets
from reports.environment import environment
from reports.errors import ReportError
from reports.page import Page


def render(page: Page) -> str:
    """The whole page as one HTML text."""
    style, script = assets.style(), assets.script()
    return (
        environment()
        .get_template("page.html")
        .render(
            page=page,
            style=Markup(style),
            script=Markup(script),
            policy=assets.policy(style, script),
        )
    )


def write(page: Page, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises: ReportError, if the folder is absent or cannot be written to.
    """
    html = render(page).encode("utf-8")
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise ReportError(f"{path}: cannot write the report: {error.strerror}") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(html)
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise ReportError(f"{path}: cannot write the report: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
