"""Workers keep to the model they have open, and spread over the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.executors.placing import Queue


@dataclass(frozen=True)
class Waiting:
    fingerprint: str
    number: int


def waiting(**models: int) -> list[Waiting]:
    return [Waiting(model, number) for model, count in models.items() for number in range(count)]


def test_every_model_is_opened_once_while_there_is_one_for_each_worker() -> None:
    queue, holding, opened, done = Queue(waiting(a=3, b=3, c=3, d=3)), [None, None], Counter[str](), []
    while queue:
        for worker in (0, 1):
            one = queue.take(holding[worker])
            assert one is not None
            opened[one.fingerprint] += one.fingerprint != holding[worker]
            holding[worker] = one.fingerprint
            done.append(one)
    assert opened == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert sorted(done, key=lambda one: (one.fingerprint, one.number)) == waiting(a=3, b=3, c=3, d=3)
    assert queue.take("d") is None


def test_who_has_nothing_left_helps_where_most_waits_for_each_worker() -> None:
    queue = Queue(waiting(a=9, b=4))
    # a alone: 9 a worker; then b, which nobody has; then a: 8 for two are 4 each, b: 3 for two are 1.5; then a again:
    # 7 for three are 2.3 each.
    assert [one.fingerprint for one in (queue.take(None) for _ in range(4)) if one] == ["a", "b", "a", "a"]


def test_what_came_of_a_result_is_next_and_a_lost_worker_has_nothing_open() -> None:
    queue = Queue(waiting(a=2, b=1))
    assert queue.take(None) == Waiting("a", 0)
    queue.add([Waiting("a", 7), Waiting("a", 8)])
    assert [queue.take("a") for _ in range(3)] == [Waiting("a", 7), Waiting("a", 8), Waiting("a", 1)]
    queue.add(waiting(a=1))
    queue.closed("a")
    # Neither is open, so the first of those with most to do.
    assert queue.take(None) == Waiting("b", 0)
