"""Page -> one HTML text that needs nothing else, and onto disk.

Every value is escaped, and characters that a reader cannot see are made visible, in one place for all templates.
Style and script are the package's own files; the page's Content-Security-Policy allows them by hash and nothing else.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports import assets, charts, figures
from reports.diff import words
from reports.errors import ReportError
from reports.listing import listing
from reports.page import Page
from reports.visible import visible

FOLLOWABLE = re.compile(r"https?://[\w.:/?=&%#-]+", re.ASCII)
"""A plain web address; anything else is never made a link."""


def render(page: Page) -> str:
    """The whole page as one HTML text."""
    style, script = assets.style(), assets.script()
    return (
        _environment()
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


def shown(value: object) -> object:
    """A string with hidden characters spelt out; other values as they are.

    Raises: ReportError, if the value is None: what is missing must be shown as missing by the template.
    """
    if value is None:
        raise ReportError("a template shows a value that is None")
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (figures.quantity, figures.difference, figures.interval, figures.percent):
        environment.filters[function.__name__] = function
    environment.tests["followable"] = lambda url: FOLLOWABLE.fullmatch(url) is not None
    environment.globals.update(charts=charts, listing=listing, words=words)
    return environment
