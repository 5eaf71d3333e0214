"""How much longer or slower than the original: length-ratio, latency-ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found
from suites.errors import SuiteError
from suites.reply import Reply

SHORTEST, LONGEST = 0.5, 2.0


@dataclass(frozen=True)
class LengthRatio:
    """The answer has between `min` and `max` times as many characters as the original's; 0.5 to 2 if not given."""

    value: object = None
    needs: ClassVar[frozenset[str]] = frozenset({"original"})

    def __post_init__(self) -> None:
        _ends(self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        assert original is not None, "Asserted.check asks for the original"
        low, high = _ends(self.value)
        after, before = len(answer.text.strip()), len(original.text.strip())
        ratio = after / before if before else 1.0 if not after else math.inf
        reason = f"the answer has {after} characters, the original's {before}: {ratio:.2f} times as many"
        return found("length-ratio", low <= ratio <= high, f"{reason}, the rule says {low:g} to {high:g}")


@dataclass(frozen=True)
class LatencyRatio:
    """The answer took at most so many times as long as the original's."""

    threshold: float
    needs: ClassVar[frozenset[str]] = frozenset({"original", "seconds"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        assert original is not None, "Asserted.check asks for the original"
        if answer.seconds is None or original.seconds is None:
            raise SuiteError("latency-ratio: it is not known how long the answers took")
        holds = answer.seconds <= self.threshold * original.seconds
        took = f"the answer took {1000 * answer.seconds:.0f} ms, the original's {1000 * original.seconds:.0f} ms"
        return found("latency-ratio", holds, f"{took}, the rule says {self.threshold:g} times as long at most")


def _ends(value: object) -> tuple[float, float]:
    """Return the least and the greatest ratio; an end that a given value leaves out is open."""
    if value is None:
        return SHORTEST, LONGEST
    if not isinstance(value, dict) or not value or not value.keys() <= {"min", "max"}:
        raise SuiteError("length-ratio: the value must be a mapping with min, max or both")
    low, high = value.get("min", 0), value.get("max", math.inf)
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        raise SuiteError("length-ratio: min and max must be numbers")
    if not 0 <= low <= high:
        raise SuiteError(f"length-ratio: min {low:g} must be 0 or more, and not more than max {high:g}")
    return float(low), float(high)


TYPES: dict[str, type] = {"latency-ratio": LatencyRatio, "length-ratio": LengthRatio}
