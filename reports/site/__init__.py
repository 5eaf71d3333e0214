"""Draw the pages of a site: the whole history of a store, a file a page."""

from __future__ import annotations
