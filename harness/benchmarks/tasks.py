"""Find an lm-eval task by name and build it; say what identifies it, without a model."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import lm_eval.tasks
from lm_eval.tasks import TaskManager

from harness.benchmarks.conditions import quiet_and_repeatable
from harness.benchmarks.data import Source, data_from, local_files
from harness.errors import HarnessError
from harness.plan import Benchmark
from harness.verdicts.choices import CHOICE_KL

OWN_TASKS = Path(__file__).parent.parent / "tasks"
STOCK_TASKS = Path(lm_eval.tasks.__file__).parent
FEWSHOT_SEED = 1234
"""lm-eval's default: the same examples as a stock run draws."""

DEFINITION = re.compile(rb"^[\"']?(?:task|group)[\"']?: *[\"']?([\w.+-]+)[\"']? *$", re.MULTILINE)
MENTION = re.compile(rb"^(?:tag: *| *- *)[\"']?([\w.+-]+)[\"']? *$", re.MULTILINE)

Config = dict[str, Any]


PERPLEXITIES = {"word_perplexity", "byte_perplexity", "bits_per_byte", "perplexity"}
"""Metrics behind which the log-likelihood of each document is measured too."""


class Found(NamedTuple):
    """An index that holds a task, group or tag with all its members, and the members' configurations."""

    manager: TaskManager
    configs: list[Config]


@dataclass(frozen=True)
class BuiltTasks:
    """Tasks with their documents, ready for lm-eval's `evaluate`."""

    tasks: dict[str, Any]
    """As TaskManager.load gives them: "tasks", "groups", "group_map"."""
    notes: tuple[str, ...]
    """What the reader of a result should know of its data."""

    @property
    def documents(self) -> int:
        """Of all tasks together, before any limit."""
        return sum(len(task.eval_docs) for task in self.tasks["tasks"].values())


def build(benchmark: Benchmark, data_root: Path | None) -> BuiltTasks:
    """Raises HarnessError for an unknown task, and where its documents cannot be had."""
    manager = index_of(benchmark).manager
    notes: list[str] = []
    try:
        with quiet_and_repeatable(), data_from(data_root, notes):
            tasks = manager.load([benchmark.task])
    except (OSError, ValueError, LookupError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        fetched = data_root is None and isinstance(error, OSError)
        hint = "; a data_root, with an index.json that lists its files, needs no hub" if fetched else ""
        raise HarnessError(f"benchmark {benchmark.task!r} cannot be built: {reason}{hint}") from error
    for name, task in tasks["tasks"].items():
        if getattr(task, "UNSAFE_CODE", False):
            raise HarnessError(f"benchmark {name!r} runs code that a model wrote; it is not allowed here")
        # As lm-eval: a task that says 0 itself keeps it, one that says nothing gets 0.
        if task.config.num_fewshot == 0 and benchmark.num_fewshot:
            notes.append(f"{name}: the task fixes itself at 0 examples, not {benchmark.num_fewshot}")
        elif benchmark.num_fewshot is not None or task.config.num_fewshot is None:
            task.set_config(key="num_fewshot", value=benchmark.num_fewshot or 0)
        task.set_fewshot_seed(seed=FEWSHOT_SEED)
        _process_once_(task)
    return BuiltTasks(tasks, tuple(notes))


def build_to_keep(benchmark: Benchmark, data_root: Path | None) -> BuiltTasks:
    """The same to be asked many times, a few documents at a time.

    The documents are lists: a data set decodes every one anew whenever lm-eval looks through them.
    """
    built = build(benchmark, data_root)
    for task in built.tasks["tasks"].values():
        process = task.config.process_docs
        task.config.process_docs = (lambda documents, process=process: list(process(documents))) if process else list
        _process_once_(task)
    return built


def _process_once_(task: Any) -> None:
    """lm-eval processes all documents of a task anew whenever it looks at them, four times a run."""
    process = task.config.process_docs
    if process is None:
        return
    known: dict[int, tuple[Any, Any]] = {}
    """By identity: data sets cannot be compared. They are kept too, so that none is mistaken for a later one."""

    @wraps(process)
    def processed(documents: Any) -> Any:
        if id(documents) not in known:
            known[id(documents)] = (documents, process(documents))
        return known[id(documents)][1]

    task.config.process_docs = processed


def metric_names(benchmark: Benchmark, data_root: Path | None) -> tuple[str, ...]:
    """What a single task measures, as gates name it; empty for a group, or where its data are on the hub."""
    configs = index_of(benchmark).configs
    if len(configs) != 1 or local_files(source_of(configs[0]), data_root) is None:
        return ()
    (task,) = build(benchmark, data_root).tasks["tasks"].values()
    names = tuple(task.aggregation())
    if task.OUTPUT_TYPE == "multiple_choice":
        return (*names, CHOICE_KL)
    return (*names, "loglikelihood") if set(names) & PERPLEXITIES else names


def kinds(benchmark: Benchmark) -> frozenset[str]:
    """What its tasks ask of a model, as lm-eval names it, such as "multiple_choice" or "generate_until"."""
    return frozenset(str(config.get("output_type", "generate_until")) for config in index_of(benchmark).configs)


def task_identity(benchmark: Benchmark, data_root: Path | None) -> str:
    """sha256 over everything that decides which prompts a benchmark asks and how answers are scored.

    The task's own configuration, lm-eval's version, the plan's settings and the bytes of local data files; of data on
    the hub only the name, for they are not fetched here.
    """
    configs = index_of(benchmark).configs
    digests = {}
    for config in configs:
        files = local_files(source_of(config), data_root)
        digests[config["task"]] = {split: _digest(path) for split, path in files.items()} if files else "hub"
    identity = {
        "lm_eval": version("lm_eval"),
        "benchmark": benchmark.model_dump(),
        "configs": [{key: value for key, value in config.items() if key != "config_source"} for config in configs],
        "data": digests,
    }
    text = json.dumps(identity, sort_keys=True, default=str).replace(str(STOCK_TASKS), "")
    return hashlib.sha256(text.encode()).hexdigest()


def index_of(benchmark: Benchmark) -> Found:
    """The smallest index for a name; the user's own tasks come first, then ours.

    lm-eval parses all of its 14,000 YAML files to build its index, which takes many seconds. So the files are first
    searched as text, and the folders that define the name are tried before the whole.
    """
    name = benchmark.task
    for folder in (_without_code(benchmark.include_path), str(OWN_TASKS)):
        if folder and (found := _looked_up(TaskManager(include_defaults=False, include_path=folder), name)):
            return found
    defined, mentioned = _names()
    if name in defined:
        folders = [str(folder) for folder in sorted(defined[name])]
        if found := _looked_up(TaskManager(include_defaults=False, include_path=folders), name):
            return found
    if (name in defined or name in mentioned) and (found := _looked_up(TaskManager(), name)):
        return found
    own = [path.stem for path in OWN_TASKS.glob("*.yaml")]
    near = get_close_matches(name, dict.fromkeys([*own, *defined, *mentioned]), 3, 0.5)
    raise HarnessError(f"unknown benchmark {name!r}" + (f"; nearest: {', '.join(near)}" if near else ""))


def _without_code(folder: str | None) -> str | None:
    """The same, refused where a YAML file names Python functions: lm-eval would run them."""
    if folder is None:
        return None
    if not Path(folder).is_dir():
        raise HarnessError(f"include_path {folder}: no such folder")
    for path in sorted(Path(folder).rglob("*.yaml")):
        if b"!function" in path.read_bytes():
            raise HarnessError(f"{path}: '!function' runs Python of the file's author; not allowed here")
    return folder


def _looked_up(manager: TaskManager, name: str) -> Found | None:
    configs = _members(manager.task_index, name)
    return Found(manager, configs) if configs else None


@cache
def _names() -> tuple[dict[str, set[Path]], set[str]]:
    """Names of lm-eval's tasks and groups with the folders that define them, and names that may be tags.

    The installed files do not change while we run, so they are read once.
    """
    defined: dict[str, set[Path]] = {}
    mentioned: set[str] = set()
    for path in STOCK_TASKS.rglob("*.yaml"):
        text = path.read_bytes()
        for name in DEFINITION.findall(text):
            defined.setdefault(name.decode(), set()).add(STOCK_TASKS / path.relative_to(STOCK_TASKS).parts[0])
        mentioned.update(name.decode() for name in MENTION.findall(text))
    return defined, mentioned


def _members(index: Mapping[str, Any], name: str, changes: Mapping[str, Any] | None = None) -> list[Config]:
    """Configurations of the single tasks under `name`, functions as their names; empty if any is not in the index."""
    entry = index.get(name)
    if entry is None:
        return []
    if entry.kind.name == "GROUP":
        return _all_of(_member(index, member, changes or {}) for member in entry.cfg["task"])
    if entry.kind.name == "TAG":
        return _all_of(_members(index, member, changes) for member in sorted(entry.tags))
    return [{**entry.cfg, **(changes or {}), "task": name, "config_source": str(entry.yaml_path)}]


def _member(index: Mapping[str, Any], member: str | Config, changes: Mapping[str, Any]) -> list[Config]:
    """One entry of a group's list: a name, a name with changes, or a group written in place."""
    if isinstance(member, str):
        return _members(index, member, changes)
    inner = {**changes, **{key: value for key, value in member.items() if key not in ("task", "group")}}
    if isinstance(member.get("task"), list):
        return _all_of(_member(index, each, inner) for each in member["task"])
    return _members(index, str(member.get("group") or member.get("task")), inner)


def _all_of(parts: Iterable[list[Config]]) -> list[Config]:
    """All parts in one list; empty if one of them is empty."""
    found = list(parts)
    return [config for part in found for config in part] if all(found) else []


def source_of(config: Config) -> Source:
    return Source.of(config, config["config_source"])


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}") from error
