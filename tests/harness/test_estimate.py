"""How long a plan takes is arithmetic over what can be seen without loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.estimate import estimated_seconds
from harness.models.opening import LoadedModel
from harness.plan import Plan


def plan(model: str) -> Plan:
    gates = [{"metric": "s.pass_rate", "margin": 0.1}]
    return Plan.model_validate({"name": "p", "original": model, "candidates": {"c": {"model": model}}, "gates": gates})


def test_it_grows_with_what_is_asked(tiny: Callable[[int], LoadedModel], tmp_path: Path) -> None:
    tiny(0).model.save_pretrained(tmp_path)
    few, many = (estimated_seconds(plan(str(tmp_path)), [], documents) for documents in (1, 1000))
    assert few is not None
    assert many is not None
    # 1000 times the documents; the measured rate may differ between the two calls, but not a hundredfold.
    assert many > 10 * few > 0


def test_a_model_of_unknown_size_gets_no_estimate() -> None:
    assert estimated_seconds(plan("someone/somewhere-else"), [], 1) is None
