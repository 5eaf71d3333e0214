"""What a model costs by the plan's price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from harness.digest import digest
from harness.metrics import Pair
from harness.metrics.speed import Speed
from harness.models.opening import LoadedModel
from harness.prices import MILLION, SECONDS_AN_HOUR, charge
from harness.progress import Progress, silent
from harness.records import Answer, Item, Measurement, Price
from harness.statistics.means import item_mean
from suites import Suite

ANSWER = "cost.answer"


@dataclass(frozen=True)
class Cost:
    """cost.prefill and cost.decode by the hour, cost.answer by the token; in the currency of the price.

    By the hour: what a million tokens cost, read or written one prompt at a time, at the speed measured now and in the
    same blocks. By the token: see `charged`.
    """

    provides: ClassVar[tuple[str, ...]] = ("prefill", "decode", "answer")

    price: Price = field(default_factory=Price)
    speed: Speed = field(default_factory=Speed)

    def measure(self, before: LoadedModel, after: LoadedModel, progress: Progress = silent) -> list[Pair]:
        """Pairs by the hour; none where the price has no hour."""
        if self.price.per_hour is None:
            return []
        pairs = self.speed.measure(before, after, progress)
        return [(self._hourly(first), self._hourly(second)) for first, second in pairs]

    def _hourly(self, speed: Measurement) -> Measurement:
        """From tokens a second."""
        a_million = MILLION / SECONDS_AN_HOUR * (self.price.per_hour or 0.0)
        items = tuple(replace(item, value=a_million / item.value) for item in speed.items)
        metric = speed.metric.replace("speed.", "cost.")
        return Measurement(metric, item_mean(items), "a million tokens", False, "reading", items)


def charged(price: Price, suites: Sequence[Suite], answers: Mapping[str, Sequence[Answer]]) -> Measurement:
    """cost.answer: the mean price of an answer to the suites, by the tokens that were counted; items are answers.

    Answers to one case that is asked several times are a cluster. What a candidate saves here is length: the price of a
    token is the same for both models.
    """
    items = []
    for suite in suites:
        messages = {case.id: case.messages for case in suite.cases}
        for answer in answers[suite.name]:
            name = f"{suite.name}/{answer.case}"
            shown = digest(name, answer.repeat, messages[answer.case])
            items.append(Item(f"{name}#{answer.repeat}", shown, charge(answer, price), cluster=name))
    return Measurement(ANSWER, item_mean(items), "an answer", False, "graded", tuple(items))
