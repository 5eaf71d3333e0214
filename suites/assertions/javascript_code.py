"""A program of the suite decides: javascript."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import re
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
from suites.judging import context_of, failed, judged
from suites.reply import Reply

SECONDS = 5.0
MAX_BYTES = 256 * 2**20
KEPT = 20_000
"""Results kept, since every answer is graded once for the verdict and once for the page."""
NEEDS = frozenset({"code"}) if importlib.util.find_spec("py_mini_racer") else frozenset({"code", "mini-racer"})
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`""", re.DOTALL)
DECLARES = re.compile(r"(?:const|let|var)\s")


@dataclass(frozen=True)
class JavaScript:
    """What a JavaScript expression, or a function's body of several lines, says of output and context.

    It returns true or false; or a number, which passes if it is more than 0 or reaches the threshold, and is the score;
    or an object of pass, score and reason. It runs in an engine of its own, without files or network, for 5 seconds and
    256 MiB at most. Code that fails or hangs fails the answer, in the `not-` form too. In context are vars, prompt,
    config, and original, what the original model answered.
    """

    value: object
    threshold: float | None = None
    config: object = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value.strip():
            raise SuiteError("javascript: the value must be an expression, or the body of a function")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        context = context_of(answer, original, self.config)
        try:
            return judged("javascript", returned(str(self.value), answer.output, context), self.threshold)
        except SuiteError as error:
            return failed("javascript", error)


def returned(code: str, *arguments: object) -> object:
    """Return what JavaScript returns for output and context; raises SuiteError if it fails, hangs or says no JSON."""
    try:
        return json.loads(_said(_body(code), json.dumps(arguments)))
    except (ValueError, RecursionError) as error:
        raise SuiteError(f"it returned what is no JSON: {error}") from error


def _body(code: str) -> str:
    """Return the body of a function: one line returns its last expression, several lines return what they say."""
    code = code.rstrip()
    if "\n" in code:
        return code
    line = code.strip().rstrip("; ")
    if not DECLARES.match(line):
        return f"return {line}"
    bare = QUOTED.sub(lambda quoted: " " * len(quoted[0]), line)
    last = bare.rfind(";") + 1
    return f"{line[:last]} return {line[last:]}" if last and line[last:].strip() else line


@functools.lru_cache(maxsize=KEPT)
def _said(body: str, arguments: str) -> str:
    """Return what the function returns as JSON; each call has an engine of its own, so that none knows of another."""
    from py_mini_racer import JSEvalException, MiniRacer

    call = f"(new Function('output', 'context', 'process', {json.dumps(body)}))(...{arguments}, {{env: {{}}}})"
    try:
        with contextlib.closing(MiniRacer()) as engine:
            said = engine.eval(f"JSON.stringify({call}) ?? 'null'", timeout_sec=SECONDS, max_memory=MAX_BYTES)
    except JSEvalException as error:
        raise SuiteError(str(error).strip().partition("\n")[0]) from error
    return str(said)


TYPES: dict[str, type] = {"javascript": JavaScript}
