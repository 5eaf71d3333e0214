"""Where templates are drawn: every value escaped, hidden characters visible, a missing or misspelt value an error."""

from __future__ import annotations

import functools
import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports import figures
from reports.charts import (
    curve,
    dumbbell,
    forest,
    histogram,
    multiples,
    passage,
    pattern,
    sparkline,
    tradeoff,
)
from reports.diff import words
from reports.errors import ReportError
from reports.visible import visible

FOLLOWABLE = re.compile(r"https?://[\w.:/?=&%#-]+", re.ASCII)
"""A plain web address; anything else is never made a link."""


FILTERS = (
    figures.quantity,
    figures.difference,
    figures.interval,
    figures.percent,
    figures.relative,
    figures.tick,
    visible,
)
CHARTS = {
    "curve_chart": curve,
    "dumbbell_chart": dumbbell,
    "forest_chart": forest,
    "histogram_chart": histogram,
    "multiples_chart": multiples,
    "passage_chart": passage,
    "pattern_chart": pattern,
    "sparkline_chart": sparkline,
    "tradeoff_chart": tradeoff,
}
"""Where things stand, by the name a template has for the module."""


@functools.cache
def environment() -> Environment:
    """The same for all templates; it keeps what it has compiled."""
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in FILTERS:
        made.filters[function.__name__] = function
    made.tests["followable"] = lambda url: FOLLOWABLE.fullmatch(url) is not None
    made.globals.update(CHARTS, words=words)
    return made


def shown(value: object) -> object:
    """A string with hidden characters spelt out; other values as they are.

    Raises: ReportError, if the value is None: what is missing must be shown as missing by the template.
    """
    if value is None:
        raise ReportError("a template shows a value that is None")
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
