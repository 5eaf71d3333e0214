"""A program of the suite decides: python."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
from suites.program import Program, inline, refuse_broken
from suites.reply import Reply

KINDS = "true, false, a number, or a mapping of pass, score and reason"


@dataclass(frozen=True)
class Python:
    """What a Python expression, body or function says of output and context.

    It returns true or false; or a number, which passes if it is more than 0 or reaches the threshold, and is the score;
    or a mapping of pass, score and reason, which fails below the threshold. Code that fails or hangs fails the answer,
    in the `not-` form too. In context are vars, prompt, config, and original, what the original model answered.
    """

    value: object
    threshold: float | None = None
    config: object = None
    needs: ClassVar[frozenset[str]] = frozenset({"code"})

    def __post_init__(self) -> None:
        try:
            refuse_broken(_program(self.value))
        except SuiteError as error:
            raise SuiteError(f"python: {error}") from error

    def check(self, answer: Reply, original: Reply | None) -> Check:
        context = {"vars": dict(answer.vars), "prompt": answer.prompt, "config": self.config}
        context["original"] = None if original is None else original.text
        try:
            return _judged(_program(self.value).result(answer.text, context), self.threshold)
        except SuiteError as error:
            return Check("python", False, 0.0, f"the code failed: {error}", turned=(False, 0.0))


def _program(value: object) -> Program:
    if isinstance(value, Program):
        return value
    if not isinstance(value, str) or not value.strip():
        raise SuiteError("the value must be an expression, the body of a function, or file:// and a .py file")
    return inline(value)


def _judged(result: object, threshold: float | None) -> Check:
    """Return the check that a result makes; raises SuiteError for one that says nothing."""
    if isinstance(result, str):
        result = _read(result)
    if isinstance(result, bool):
        return Check("python", result, float(result), f"the code returned {str(result).lower()}")
    if isinstance(result, int | float) and math.isfinite(result):
        passed = result > 0 if threshold is None else result >= threshold
        asked = "more than 0" if threshold is None else f"{threshold:g} at least"
        reason = f"the code returned {result:g}, the rule says {asked}"
        return Check("python", passed, float(result), reason, turned=(not passed, float(result)))
    if isinstance(result, dict):
        return _mapped(result, threshold)
    raise SuiteError(f"it must return {KINDS}, found {str(result)[:60]!r}")


def _read(text: str) -> object:
    """Return what a text stands for: true, false, a mapping, a number; or the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if text.startswith("{"):
            return json.loads(text)
    except ValueError as error:
        raise SuiteError(f"it returned broken JSON: {error}") from error
    number = re.match(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
    return float(number[0]) if number else text


def _mapped(result: dict[str, Any], threshold: float | None) -> Check:
    passed = result.get("pass", result.get("pass_"))
    score, reason = result.get("score"), result.get("reason")
    if not isinstance(passed, bool) or isinstance(score, bool) or not isinstance(score, int | float):
        raise SuiteError(f"it must return {KINDS}, found {str(result)[:60]!r}")
    if not isinstance(reason, str):
        raise SuiteError(f"it must return a reason of text, found {str(result)[:60]!r}")
    if threshold is not None and score < threshold:
        passed, reason = False, f"score {score:g} is less than {threshold:g}: {reason}"
    return Check("python", passed, float(score), reason, turned=(not passed, float(score)))


TYPES: dict[str, type] = {"python": Python}
