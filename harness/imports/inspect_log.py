"""Inspect's log as JSON: every sample with the scores of its scorers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.digest import digest
from harness.errors import HarnessError
from harness.imports.readings import Reading, Readings, listed, mapping, measured, number

FORMAT = "Inspect log (.json)"
LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's own values: correct, partial, incorrect, no answer."""


def readings(log: Mapping[str, Any], path: Path) -> Readings:
    """Every scorer as TASK.SCORER, or TASK.SCORER.NAME where it gives several values.

    Epochs of one sample are items of one cluster. A sample that ended with an error has no value.
    """
    about = mapping(log.get("eval"), f"{path}: eval")
    if log.get("status") not in ("success", "error", "cancelled"):
        raise HarnessError(f"{path}: status: must be success, error or cancelled, found {log.get('status')!r}")
    given = listed(log.get("samples"), f"{path}: samples")
    samples = [mapping(sample, f"{path}: samples[{index}]") for index, sample in enumerate(given)]
    task, repeated = str(about.get("task", "inspect")), any(sample.get("epoch", 1) != 1 for sample in samples)
    found = [one for sample in samples for one in _sample(task, sample, repeated, str(path))]
    return Readings(FORMAT, str(about.get("model", "")), measured(found))


def _sample(task: str, sample: Mapping[str, Any], repeated: bool, path: str) -> Iterator[Reading]:
    if sample.get("error"):
        return
    shown = digest(sample.get("input"), sample.get("target"), sample.get("choices"))
    name = str(sample.get("id"))
    where = f"{path}: sample {name}: scores"
    for scorer, score in mapping(sample.get("scores") or {}, where).items():
        value = mapping(score, f"{where}.{scorer}").get("value")
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, one in parts:
            read = LETTERS.get(one) if isinstance(one, str) else number(one)
            if read is not None:
                metric = f"{task}.{scorer}.{part}" if part else f"{task}.{scorer}"
                yield Reading(metric, name, shown, read, cluster=name if repeated else "")
