"""Draw pages: one self-contained HTML file from a Page of plain values."""

from reports.errors import ReportError
from reports.page import CandidatePage, Page
from reports.render import render, write

__all__ = ["CandidatePage", "Page", "ReportError", "render", "write"]
