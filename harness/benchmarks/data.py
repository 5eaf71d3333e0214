"""Where a task's documents come from: a file beside its YAML, a folder with an index.json, or the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from harness.errors import HarnessError

FORM = '{"datasets": {id: {configuration: {split: file}}}}'
"""Of an index.json."""
SPLITS = ("training_split", "validation_split", "test_split")


@dataclass(frozen=True)
class Source:
    """What a task's YAML says about its data."""

    task: str
    path: str
    """Hub id, or "json" for files of the task's own."""
    name: str
    """Configuration of the data set; empty: it has one only."""
    data_files: Mapping[str, str]
    folder: Path
    """Of the YAML file: relative data files start there."""

    @classmethod
    def of(cls, config: Mapping[str, Any], yaml: str) -> Source:
        """From a task's configuration as read from `yaml`."""
        files = (config.get("dataset_kwargs") or {}).get("data_files") or {}
        return cls(
            task=str(config.get("task")),
            path=str(config.get("dataset_path") or ""),
            name=str(config.get("dataset_name") or ""),
            data_files={"train": files} if isinstance(files, str) else files,
            folder=Path(yaml).parent,
        )


def local_files(source: Source, data_root: Path | None) -> dict[str, Path] | None:
    """Split -> file, or None if the data are the hub's.

    With a `data_root`, a data set that its index does not list is refused: nothing is fetched instead.
    """
    if source.path == "json" and all(_is_local(name) for name in source.data_files.values()):
        return {split: source.folder / name for split, name in source.data_files.items()}
    if data_root is None:
        return None
    index_file = data_root / "index.json"
    index = _read_index(index_file)
    known = index["datasets"]
    dataset = index.get("aliases", {}).get(source.path, source.path)
    if dataset not in known:
        near = get_close_matches(dataset, known, 3, 0.3)
        raise HarnessError(
            f"{index_file}: no data set {source.path!r}, which task {source.task!r} reads"
            + (f"; nearest: {', '.join(near)}" if near else "")
        )
    if source.name not in known[dataset]:
        raise HarnessError(
            f"{index_file}: data set {dataset!r} has no configuration {source.name!r}, which task {source.task!r} "
            f"reads; it has: {', '.join(known[dataset])}"
        )
    return {split: data_root / file for split, file in known[dataset][source.name].items()}


@contextmanager
def data_from(data_root: Path | None, notes: list[str]) -> Iterator[None]:
    """While this is open, tasks being built read local files where there are any; what was missing goes to `notes`."""
    stock = ConfigurableTask.download

    def download(task: Any, dataset_kwargs: dict[str, Any] | None = None) -> None:
        config = task.config
        source = Source.of(
            {name: getattr(config, name) for name in ("task", "dataset_path", "dataset_name", "dataset_kwargs")},
            (config.metadata or {}).get("config_source", ""),
        )
        files = local_files(source, data_root)
        if files is None:
            stock(task, dataset_kwargs)
            return
        task.dataset = datasets.DatasetDict({split: read_documents(path) for split, path in files.items()})
        _drop_missing_splits_(config, set(files), notes)

    ConfigurableTask.download = download
    try:
        yield
    finally:
        ConfigurableTask.download = stock


def read_documents(path: Path) -> datasets.Dataset:
    """A JSON-lines file as a data set in memory; a key that a line lacks is None there."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    rows = [_document(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise HarnessError(f"{path}: no document in it")
    keys = dict.fromkeys(key for row in rows for key in row)
    return datasets.Dataset.from_dict({key: [row.get(key) for row in rows] for key in keys})


def _document(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError as error:
        raise HarnessError(f"{path}:{number}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise HarnessError(f"{path}:{number}: expected a JSON object, found {type(document).__name__}")
    return document


def _drop_missing_splits_(config: Any, present: set[str], notes: list[str]) -> None:
    """A split that the data lack is dropped and noted, as long as documents and examples still come from somewhere."""
    asked = [getattr(config, kind) for kind in ("validation_split", "test_split")]
    for kind in SPLITS:
        split = getattr(config, kind)
        if split not in (None, *present):
            setattr(config, kind, None)
            notes.append(f"{config.task}: split {split!r} is not in the data; dropped")
    if config.validation_split is None and config.test_split is None:
        wanted = " or ".join(repr(split) for split in asked if split is not None)
        raise HarnessError(
            f"task {config.task!r}: its documents are in split {wanted}, which is not in the data, which have: "
            + ", ".join(sorted(present))
        )
    examples = config.fewshot_config.split
    if examples not in (None, *present):
        raise HarnessError(
            f"task {config.task!r}: its few-shot split {examples!r} is not in the data, which have: "
            + ", ".join(sorted(present))
        )


def _read_index(path: Path) -> dict[str, Any]:
    """The index: {"datasets": {hub id: {configuration: {split: file}}}, "aliases": {old id: id}}."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}; data_root needs an index.json") from error
    except ValueError as error:
        raise HarnessError(f"{path}: not JSON: {error}") from error
    if not isinstance(index, dict) or not isinstance(index.get("datasets"), dict):
        raise HarnessError(f"{path}: expected {FORM}")
    for dataset, configurations in index["datasets"].items():
        if not _is_listing(configurations):
            raise HarnessError(f"{path}: data set {dataset!r}: expected {FORM}")
    if not isinstance(index.get("aliases", {}), dict):
        raise HarnessError(f'{path}: expected "aliases": {{old id: id}}')
    return index


def _is_listing(configurations: object) -> bool:
    """Whether it is configuration -> split -> file."""
    return isinstance(configurations, dict) and all(
        isinstance(files, dict) and all(isinstance(file, str) for file in files.values())
        for files in configurations.values()
    )


def _is_local(name: object) -> bool:
    return isinstance(name, str) and "://" not in name
