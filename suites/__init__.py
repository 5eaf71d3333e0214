"""What to ask a model and what counts as right. No torch here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suites.allowance import Allowance
    from suites.assertions import Check
    from suites.assertions import names as assertion_names
    from suites.choosing import Choice, chosen
    from suites.errors import SuiteError
    from suites.grading import Graded, grade
    from suites.loader import check, load, names
    from suites.reply import Reply
    from suites.schema import Case, Suite

_HOMES = {
    "Allowance": ("suites.allowance", "Allowance"),
    "Case": ("suites.schema", "Case"),
    "Choice": ("suites.choosing", "Choice"),
    "Check": ("suites.assertions", "Check"),
    "Graded": ("suites.grading", "Graded"),
    "Reply": ("suites.reply", "Reply"),
    "Suite": ("suites.schema", "Suite"),
    "SuiteError": ("suites.errors", "SuiteError"),
    "assertion_names": ("suites.assertions", "names"),
    "check": ("suites.loader", "check"),
    "chosen": ("suites.choosing", "chosen"),
    "grade": ("suites.grading", "grade"),
    "load": ("suites.loader", "load"),
    "names": ("suites.loader", "names"),
}

__all__ = [
    "Allowance",
    "Case",
    "Check",
    "Choice",
    "Graded",
    "Reply",
    "Suite",
    "SuiteError",
    "assertion_names",
    "check",
    "chosen",
    "grade",
    "load",
    "names",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'suites' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
