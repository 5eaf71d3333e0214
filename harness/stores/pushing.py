"""Finished jobs of a store -> a place that many machines share, each once: one folder a job, one a stage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.digest import digest
from harness.errors import HarnessError
from harness.stores.engine import quoted
from harness.stores.file import DuckdbFile
from harness.stores.migrations import STEPS
from harness.stores.places import MANIFEST, PATH, Place, manifest
from harness.stores.rows import Connection

OURS = f"schema-{len(STEPS)}"
RUNS = "run IN (SELECT id FROM runs WHERE job = $id)"
HELD: dict[str, dict[str, str]] = {
    "stage": {
        "stages": "id = $id",
        **dict.fromkeys(("answers", "advice", "answer_divergences", "measurements", "items"), "stage = $id"),
    },
    "job": {
        "jobs": "id = $id",
        **dict.fromkeys(("runs", "verdicts", "deltas", "flips", "trials"), "job = $id"),
        **dict.fromkeys(("run_stages", "receipts", "checks", "grades"), RUNS),
    },
    "baseline": {"baselines": "name || ' ' || blessed = $id"},
}
"""Kind of folder -> its tables -> which of their rows it holds. Scores of single requests stay: only their own store
goes on with them."""
AT_ONCE = 20
"""Folders that are written while the store is open, and others wait."""
WHOLE = """
SELECT id, started, coalesce(bool_and(whole), true) FROM (
  SELECT j.id, j.started, s.finished IS NOT NULL AS whole FROM jobs j LEFT JOIN runs r ON r.job = j.id
  LEFT JOIN run_stages rs ON rs.run = r.id LEFT JOIN stages s ON s.id = rs.stage
  WHERE j.finished IS NOT NULL) GROUP BY id, started ORDER BY started, id
"""
STAGES = """
SELECT DISTINCT s.id, s.started FROM stages s JOIN run_stages ON stage = s.id JOIN runs r ON r.id = run
WHERE list_contains($jobs, r.job) ORDER BY s.started, s.id
"""


@dataclass(frozen=True)
class Pushed:
    """What came of a push."""

    jobs: int
    """That were not there."""
    left: int
    """Jobs that are not finished, or stopped early, so that a later job may ask the rest of a stage."""


@dataclass(frozen=True)
class _Part:
    """What becomes one folder."""

    kind: str
    name: str
    id: str
    """That its rows are chosen by."""
    started: str
    """When it began: with the name, this tells it from all others."""

    @property
    def path(self) -> str:
        return f"{OURS}/{self.kind}={self.name}"


def folders(where: Place) -> dict[str, list[str]]:
    """Path of a folder that is whole -> the names of its files but for the manifest.

    Raises HarnessError if there are such of another schema.
    """
    found: dict[str, list[str]] = {}
    for path in filter(PATH.fullmatch, where.paths()):
        folder, _, file = path.rpartition("/")
        found.setdefault(folder, []).append(file)
    whole = {folder: sorted(set(files) - {MANIFEST}) for folder, files in sorted(found.items()) if MANIFEST in files}
    others = {folder.partition("/")[0] for folder in whole} - {OURS}
    if others:
        raise HarnessError(
            f"{where.name} holds {sorted(others)[0]} too, where this secateur reads and writes {OURS}; name another"
            " place for each, or push again what is older"
        )
    return whole


def push(file: DuckdbFile, where: Place) -> Pushed:
    """Put there every finished job that is not there yet, with what belongs to it, and the baselines.

    A job is put after its stages, so that a reader finds all of what it finds. Raises HarnessError if a job of the
    same name but of another store is there, or the place cannot be written.
    """
    jobs = [(job, started) for job, started, whole in file.rows(WHOLE) if whole]
    ((all_jobs,),) = file.rows("SELECT count(*) FROM jobs")
    blessed = file.rows("SELECT name || ' ' || blessed, blessed FROM baselines")
    parts = [
        *(_Part("stage", name, name, begun) for name, begun in _stages(file, [job for job, _ in jobs])),
        *(_Part("job", job, job, started) for job, started in jobs),
        *(_Part("baseline", digest(name)[:16], name, begun) for name, begun in blessed),
    ]
    there = folders(where)
    _refuse_others(where, [part for part in parts if part.path in there])
    new = [part for part in parts if part.path not in there]
    with where.room() as room:
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            for part, made in zip(some, _made(file, some, room), strict=True):
                where.put(made, part.path)
    return Pushed(sum(part.kind == "job" for part in new), all_jobs - len(jobs))


def _stages(file: DuckdbFile, jobs: Sequence[str]) -> list[tuple[str, str]]:
    return file.transaction(lambda db: db.execute(STAGES, {"jobs": jobs}).fetchall())


def _refuse_others(where: Place, parts: Sequence[_Part]) -> None:
    """Names are drawn at random: the same one, begun at another moment, is another store's."""
    texts = where.read([f"{part.path}/{MANIFEST}" for part in parts])
    for part, text in zip(parts, texts.values(), strict=True):
        started = manifest(text, f"{where.name}/{part.path}")["started"]
        if started != part.started:
            raise HarnessError(
                f"{where.name}: there is another {part.kind} {part.name}, begun {started:.40}, here {part.started};"
                " nothing was pushed"
            )


def _made(file: DuckdbFile, parts: Sequence[_Part], room: Path) -> list[Path]:
    """Their folders, in the room; tables without rows have no file."""
    for part in parts:
        if not re.fullmatch(r"[\w-]{1,64}", part.name, re.ASCII):
            raise HarnessError(
                f"{part.kind} {part.name!r} has no name for a folder; allowed are letters, digits, _ and -"
            )
    return file.transaction(lambda db: [_written(db, part, room) for part in parts])


def _written(db: Connection, part: _Part, room: Path) -> Path:
    made = room / f"{part.kind}={part.name}"
    made.mkdir()
    files = {}
    for table, rows in HELD[part.kind].items():
        path, chosen = made / f"{table}.parquet", f"FROM {table} WHERE {rows.replace('$id', quoted(part.id))}"
        if db.execute(f"SELECT 1 {chosen} LIMIT 1").fetchone():
            db.execute(f"COPY (SELECT * {chosen}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
            files[path.name] = path.stat().st_size
    said = {"started": part.started, "files": files}
    (made / MANIFEST).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return made


def tables() -> Iterator[str]:
    """All that are shared."""
    for held in HELD.values():
        yield from held
