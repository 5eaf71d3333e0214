"""How the answer came: finish-reason, latency, cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from suites.assertions import Check, found
from suites.errors import SuiteError
from suites.reply import Reply


@dataclass(frozen=True)
class FinishReason:
    """The answer ended for the reason that the value names: stop (by itself) or length (cut short)."""

    value: object
    needs: ClassVar[frozenset[str]] = frozenset({"finish"})

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            raise SuiteError("finish-reason: the value must be text, such as stop or length")

    def check(self, answer: Reply, original: Reply | None) -> Check:
        if not answer.finish:
            return found("finish-reason", False, "it is not known why the answer ended")
        same = answer.finish.lower() == str(self.value).lower()
        return found("finish-reason", same, f"the answer ended by {answer.finish!r}, the rule says {self.value!r}")


@dataclass(frozen=True)
class Latency:
    """The answer took at most so many milliseconds."""

    threshold: float
    needs: ClassVar[frozenset[str]] = frozenset({"seconds"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        if answer.seconds is None:
            raise SuiteError("latency: it is not known how long the answer took")
        took = 1000 * answer.seconds
        return found("latency", took <= self.threshold, f"the answer took {took:.0f} ms, the rule {self.threshold:g}")


@dataclass(frozen=True)
class Cost:
    """The answer cost at most so much, in the currency of its price."""

    threshold: float
    needs: ClassVar[frozenset[str]] = frozenset({"cost"})

    def check(self, answer: Reply, original: Reply | None) -> Check:
        if answer.cost is None:
            raise SuiteError("cost: it is not known what the answer cost")
        holds = answer.cost <= self.threshold
        return found("cost", holds, f"the answer cost {answer.cost:.2g}, the rule says {self.threshold:g}")


TYPES: dict[str, type] = {"cost": Cost, "finish-reason": FinishReason, "latency": Latency}
