"""How a suite goes while it is asked: what is right so far, and how fast answers come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from harness.records import SERVED, Answer
from harness.verdicts.pairing import reply_of
from suites import Suite, grade
from suites.errors import SuiteError

GRADED_SECONDS = 2.0
"""What may go into grading here for one suite; the verdict grades all answers in its own time."""
AT_HAND = SERVED | {"tokens"}
"""What assertions may need that are checked here: none that runs code or asks for the other model's answer."""


class Tally:
    """Takes answers as they come; as text it says what they come to."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite.name
        self.cases = {
            case.id: case for case in suite.cases if all(each.rule.needs <= AT_HAND for each in case.assertions)
        }
        self.right = self.graded = self.tokens = 0
        self.left_seconds = GRADED_SECONDS
        self.begun = time.monotonic()

    def add(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self.tokens += answer.new_tokens
            case = self.cases.get(answer.case)
            if case is not None and self.left_seconds > 0:
                moment = time.monotonic()
                # What cannot be decided is the verdict's to report, when all answers are kept.
                with suppress(SuiteError):
                    self.right += grade(case, reply_of(answer)).passed
                    self.graded += 1
                self.left_seconds -= time.monotonic() - moment

    def __str__(self) -> str:
        said = [self.suite]
        if self.graded:
            said.append(f"{100 * self.right / self.graded:.1f} % of {self.graded} right")
        if self.tokens:
            said.append(f"{self.tokens / max(time.monotonic() - self.begun, 1e-3):.0f} tokens/s")
        return ", ".join(said)
