"""A page of the site -> one HTML text.

Style and script stand in every page, since a browser loads no file of its own beside a page that is opened from disk.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from markupsafe import Markup

from reports import assets
from reports.environment import environment
from reports.errors import ReportError
from reports.site import histories, pages, strips, timeline
from reports.site.link import Link
from reports.visible import visible

TEMPLATES: dict[type, str] = {
    pages.IndexPage: "index",
    pages.OlderPage: "older",
    pages.JobPage: "job",
    histories.TrendsPage: "trends",
    histories.HistoryPage: "history",
    histories.SuitesPage: "suites",
    histories.SuitePage: "suite",
    pages.ComparePage: "compare",
    pages.SchedulesPage: "schedules",
    pages.SearchPage: "search",
    pages.LivePage: "live",
}
SCRIPTS: dict[str, tuple[str, ...]] = {
    "index": ("rows",),
    "older": ("rows",),
    "compare": ("figures", "compare"),
    "search": ("search",),
    "live": ("figures", "live"),
}
"""Kind of page -> its scripts; a page without any is whole without one."""
NAME = re.compile(r"[a-z]+(?:-\d+)?\.html|[a-z]+/[0-9a-z]{1,32}\.html", re.ASCII)
"""Of a file of the site, from its top; nothing that anyone else chooses is part of one."""


def draw(page: pages.SitePage, name: str) -> str:
    """The whole page as one HTML text. name: of its file, from the top of the site."""
    kind = TEMPLATES[type(page)]
    clothes = _clothes(kind)
    return (
        environment()
        .get_template(f"site/{kind}.html")
        .render(
            page=page,
            kind=kind,
            root="../" * name.count("/"),
            style=Markup(clothes.style),
            script=Markup(clothes.script),
            policy=clothes.policy,
            address=address,
            data=data,
            strips=strips,
            timeline=timeline,
        )
    )


def address(link: Link) -> str:
    """Where a link leads, from the top of the site. Raises: ReportError, if that is no page of a site."""
    if not NAME.fullmatch(link.page):
        raise ReportError(f"{link.page!r} is no page of a site")
    return link.page


def data(value: object) -> Markup:
    """Plain values as JSON that cannot end the element it stands in; hidden characters of its texts made visible."""
    text = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _plain(value: object) -> object:
    if isinstance(value, str):
        return visible(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [_plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return {visible(str(key)): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True)
class _Clothes:
    """What a page wears besides its text."""

    style: str
    script: str
    policy: str


@functools.cache
def _clothes(kind: str) -> _Clothes:
    style = f"{assets.style()}\n{assets.joined('site/styles')}"
    script = "\n".join(_text(f"site/scripts/{part}.js") for part in SCRIPTS.get(kind, ()))
    # The live page asks the server that it comes from, and no other.
    asking = "; connect-src 'self'" if kind == "live" else ""
    return _Clothes(style, script, assets.policy(style, script) + asking)


def _text(name: str) -> str:
    return files("reports").joinpath("templates", name).read_text("utf-8")


@functools.cache
def version() -> str:
    """Changes whenever pages would look different: a digest of everything in this package."""
    digest = hashlib.sha256()
    for path in _sources(files("reports")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(folder: Traversable) -> list[Traversable]:
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_dir():
            found += _sources(path)
        elif path.name.endswith((".py", ".html", ".css", ".js")):
            found.append(path)
    return found
