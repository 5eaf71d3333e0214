"""What code of a suite is told, and what it returns -> a check."""

from __future__ import annotations

import math

from suites.assertions import Check
from suites.errors import SuiteError
from suites.reply import Reply

KINDS = "true, false, a number, or a mapping of pass, score and reason"


def context_of(answer: Reply, original: Reply | None, config: object) -> dict[str, object]:
    """Return what code is told besides the text of the answer."""
    before = None if original is None else original.text
    return {"vars": dict(answer.vars), "prompt": answer.prompt, "config": config, "original": before}


def judged(type: str, result: object, threshold: float | None) -> Check:
    """Return the check that a result makes; raises SuiteError for one that says nothing.

    A number passes if it is more than 0 or reaches the threshold, and is the score, in the `not-` form too.
    """
    if isinstance(result, bool):
        return Check(type, result, float(result), f"the code returned {str(result).lower()}")
    number = _number(result)
    if number is not None:
        passed = number > 0 if threshold is None else number >= threshold
        asked = "more than 0" if threshold is None else f"{threshold:g} at least"
        reason = f"the code returned {number:g}, the rule says {asked}"
        return Check(type, passed, number, reason, turned=(not passed, number))
    if not isinstance(result, dict):
        raise SuiteError(f"it must return {KINDS}, found {str(result)[:60]!r}")
    verdict, score, why = result.get("pass"), _number(result.get("score")), result.get("reason")
    if not isinstance(verdict, bool) or score is None:
        raise SuiteError(f"it must return {KINDS}, found {str(result)[:60]!r}")
    if not isinstance(why, str):
        raise SuiteError(f"it must return a reason of text, found {str(result)[:60]!r}")
    return Check(type, verdict, score, why, turned=(not verdict, score))


def _number(value: object) -> float | None:
    """Return a finite number, None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def failed(type: str, error: SuiteError) -> Check:
    """Return the check of code that failed: the answer fails, in the `not-` form too."""
    return Check(type, False, 0.0, f"the code failed: {error}", turned=(False, 0.0))
