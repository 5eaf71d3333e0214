"""A program of the suite decides: javascript."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check
from suites.errors import SuiteError
from suites.judging import context_of, failed, judged
from suites.reply import Reply
from suites.script import NEEDS, Script, inline_script


@dataclass(frozen=True)
class JavaScript:
    """What a JavaScript expression, body or function says of output and context.

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
        if not isinstance(self.value, Script) and (not isinstance(self.value, str) or not self.value.strip()):
            kinds = "an expression, the body of a function, or file:// and a .js file"
            raise SuiteError(f"javascript: the value must be {kinds}")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        context = context_of(answer, original, self.config)
        script = self.value if isinstance(self.value, Script) else inline_script(str(self.value))
        try:
            return judged("javascript", script.result(answer.output, context), self.threshold)
        except SuiteError as error:
            return failed("javascript", error)


TYPES: dict[str, type] = {"javascript": JavaScript}
