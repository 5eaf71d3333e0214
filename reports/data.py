"""Everything that a page says, as JSON for programs; but for the cases, which the page has as payload already."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

from reports.page import Page


def as_json(page: Page) -> str:
    """The fields of Page, safe inside a script element; a number that is NaN or infinite is null."""
    bare = replace(page, candidates=tuple(replace(candidate, cases=()) for candidate in page.candidates))
    content = asdict(bare)
    for candidate in content["candidates"]:
        del candidate["cases"]
    return json.dumps(_finite(content), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, tuple | list) else value
