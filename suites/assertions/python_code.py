"""A program of the suite decides: python."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
from suites.judging import context_of, failed, judged
from suites.program import Program, inline, refuse_broken
from suites.reply import Reply


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
        context = context_of(answer, original, self.config)
        try:
            said = _read(_program(self.value).result(answer.output, context))
            result = _limited(said, self.threshold) if isinstance(said, dict) else said
            return judged("python", result, self.threshold)
        except SuiteError as error:
            return failed("python", error)


def _program(value: object) -> Program:
    if isinstance(value, Program):
        return value
    if not isinstance(value, str) or not value.strip():
        raise SuiteError("the value must be an expression, the body of a function, or file:// and a .py file")
    return inline(value)


def _read(result: object) -> object:
    """Return what a text stands for: true, false, a mapping, a number; another result, or text, as it is."""
    if not isinstance(result, str):
        return result
    text = result
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        if text.startswith("{"):
            return json.loads(text)
    except ValueError as error:
        raise SuiteError(f"it returned broken JSON: {error}") from error
    number = re.match(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
    return float(number[0]) if number else text


def _limited(result: dict[str, Any], threshold: float | None) -> dict[str, Any]:
    """Return a mapping that fails below the threshold; pass_ is read as pass."""
    named = {**result, "pass": result.get("pass", result.get("pass_"))}
    score, reason = result.get("score"), result.get("reason")
    if threshold is not None and isinstance(score, int | float) and score < threshold:
        named |= {"pass": False, "reason": f"score {score:g} is less than {threshold:g}: {reason}"}
    return named


TYPES: dict[str, type] = {"python": Python}
