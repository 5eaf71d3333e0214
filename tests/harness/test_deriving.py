"""What analysts get of a comparison."""

from __future__ import annotations

from harness.deriving import derived
from harness.records import Item, Measurement, ModelSpec, Run
from harness.stores.derived import DeltaRow, FlipRow
from harness.verdicts.compare import compare


def run(name: str, values: list[float]) -> Run:
    items = tuple(Item(str(number), f"h{number}", value) for number, value in enumerate(values))
    accuracy = Measurement("task.acc", sum(values) / len(values), "share", True, "binary", items)
    size = Measurement("size.bytes", 100.0 * len(name), "bytes", False, "reading")
    return Run(name, ModelSpec(name, name), name, measurements={m.metric: m for m in (accuracy, size)})


def test_deltas_and_flips_are_those_of_the_comparison() -> None:
    comparison = compare(run("original", [1, 1, 0, 1]), run("small", [1, 0, 1, 0]), [])
    rows = derived(comparison, "old", "new")
    size, accuracy = rows.deltas
    assert size == DeltaRow("size.bytes", "bytes", False, 800.0, 500.0, -300.0, -300.0, -300.0, 0, 0, 0)
    assert (accuracy.before, accuracy.after, accuracy.drop, accuracy.n) == (0.75, 0.5, 0.25, 4)
    assert (accuracy.losses, accuracy.gains) == (2, 1)
    assert accuracy.low == comparison.deltas["task.acc"].low
    assert rows.flips == (
        FlipRow("task.acc", "1", "loss"),
        FlipRow("task.acc", "3", "loss"),
        FlipRow("task.acc", "2", "gain"),
    )
    assert rows.checks == rows.grades == ()
