"""Draw pages from a Page of plain values: one self-contained HTML file, or a folder."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from reports.errors import ReportError

if TYPE_CHECKING:
    from reports.folder import write_folder
    from reports.page import CandidatePage, Page
    from reports.render import render, write

_HOMES = {
    "CandidatePage": "reports.page",
    "Page": "reports.page",
    "render": "reports.render",
    "write": "reports.render",
    "write_folder": "reports.folder",
}
"""Public names -> the module that has them; the templates' library takes a tenth of a second."""

__all__ = ["CandidatePage", "Page", "ReportError", "render", "write", "write_folder"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'reports' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
