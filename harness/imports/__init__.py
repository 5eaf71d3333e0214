"""Results made elsewhere -> Runs, so that they are judged by the same statistics. One file a format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.imports import inspect_log, lm_eval_samples, promptfoo_results
from harness.imports.readings import Readings, read_constant
from harness.records import ModelSpec, Run

MAX_BYTES = 512 * 2**20
PART = "#"
"""Behind it stands which model of a file is meant, where it holds several."""


def are_files(before: str, after: str) -> bool:
    """Whether these name results made elsewhere, and not stored runs. Raises HarnessError if one does only."""
    there = [Path(argument.partition(PART)[0]).exists() for argument in (before, after)]
    if there[0] != there[1]:
        missing = after if there[0] else before
        raise HarnessError(f"{missing}: no such file; compare two files, or two stored runs")
    return all(there)


def imported(argument: str, name: str) -> Run:
    """The results of one model as a run. argument: a file, a folder of lm-eval samples, or FILE#MODEL.

    name: "original", or that of the candidate. Raises HarnessError for what is none of the formats, or damaged.
    """
    path, _, part = argument.partition(PART)
    readings = _readings(Path(path), part)
    if not readings.measurements:
        raise HarnessError(f"{path}: no number of any item in it")
    measurements = {one.metric: one for one in readings.measurements}
    return Run(argument, ModelSpec(name, readings.model or argument), "", {}, measurements, {"format": readings.format})


def _readings(path: Path, part: str) -> Readings:
    if path.is_dir() or path.suffix == ".jsonl":
        return lm_eval_samples.readings(sorted(path.glob("**/samples_*.jsonl")) if path.is_dir() else [path])
    if path.suffix == ".eval":
        raise HarnessError(f"{path}: a packed log; `inspect log convert --to json` unpacks it")
    data = _data(path)
    if isinstance(data, dict) and "eval" in data:
        return inspect_log.readings(data, path)
    if isinstance(data, dict) and isinstance(data.get("results"), dict):
        if isinstance(data["results"].get("results"), list):
            return promptfoo_results.readings(data["results"]["results"], path, part)
        raise HarnessError(f"{path}: totals only; lm-eval writes every document with --log_samples")
    raise HarnessError(f"{path}: none of {', '.join(_formats())}")


def _formats() -> Iterator[str]:
    yield from (module.FORMAT for module in (lm_eval_samples, inspect_log, promptfoo_results))


def _data(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise HarnessError(f"{path}: larger than {MAX_BYTES // 2**20} MiB")
        return json.loads(path.read_text("utf-8"), parse_constant=read_constant)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{path}: not valid JSON: {error}") from error
