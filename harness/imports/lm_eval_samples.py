"""lm-eval's `samples_TASK_DATE.jsonl`, written with --log_samples: a row a document and filter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.digest import digest
from harness.errors import HarnessError
from harness.imports.readings import Reading, Readings, mapping, measured, number, read_constant

FORMAT = "lm-eval samples (samples_*.jsonl)"
NAME = re.compile(r"samples_(.+?)_\d{4}-\d\d-\d\dT.*\.jsonl")
LOWER_IS_BETTER = ("word_perplexity", "byte_perplexity", "bits_per_byte", "perplexity", "brier_score", "ter", "wer")
HASHES = ("doc_hash", "prompt_hash", "target_hash")
MAX_ROW = 64 * 2**20


def readings(files: Sequence[Path]) -> Readings:
    """Every metric of every task as TASK.METRIC, or TASK.METRIC.FILTER where a task has several filters."""
    if not files:
        raise HarnessError("no samples_*.jsonl in the folder; lm-eval writes them with --log_samples")
    tasks: dict[str, Path] = {}
    for file in files:
        task = _task_name(file)
        if task in tasks:
            raise HarnessError(f"{file}: task {task} is in {tasks[task].name} too; name one of the files")
        tasks[task] = file
    found_in = [reading for task, file in tasks.items() for reading in _task(task, file)]
    return Readings(FORMAT, "", measured(found_in, LOWER_IS_BETTER))


def _task_name(file: Path) -> str:
    """The task in the name of a file; "samples" of one that was renamed, so that two such files have it alike."""
    found = NAME.fullmatch(file.name)
    if found:
        return found[1]
    return file.stem.removeprefix("samples_") if file.stem.startswith("samples_") else "samples"


def _task(task: str, file: Path) -> list[Reading]:
    rows = list(_rows(file))
    filters = {str(row.get("filter", "none")) for row in rows}
    found = []
    for number_, row in enumerate(rows, 1):
        if any(not isinstance(row.get(name), str) for name in HASHES):
            raise HarnessError(f"{file}:{number_}: no {', '.join(HASHES)}; written by lm-eval 0.4.4 or later?")
        shown = digest(*(row[name] for name in HASHES))
        for metric in row.get("metrics", ()):
            value = number(row.get(metric)) if isinstance(metric, str) else None
            if value is not None:
                name = f"{task}.{metric}" if len(filters) == 1 else f"{task}.{metric}.{row.get('filter')}"
                found.append(Reading(name, str(row.get("doc_id")), shown, value))
    return found


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """What is needed of every row; the documents themselves are left."""
    try:
        with file.open(encoding="utf-8") as handle:
            for line, text in enumerate(iter(lambda: handle.readline(MAX_ROW), ""), 1):
                if text.strip():
                    row = mapping(json.loads(text, parse_constant=read_constant), f"{file}:{line}")
                    yield {key: value for key, value in row.items() if key not in ("doc", "arguments", "resps")}
    except OSError as error:
        raise HarnessError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{file}: not valid JSONL: {error}") from error
