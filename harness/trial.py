"""Ask one model a suite, outside any job; the answers are kept where a job would keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.asking import asked
from harness.history import STORE
from harness.marking import Marked, marked
from harness.models.opening import refuse_missing
from harness.models.subject import Subject
from harness.progress import Progress, silent
from harness.records import ModelSpec
from harness.stores import Store
from harness.stores.duckdb_store import DuckdbStore
from suites import Case, Suite


@dataclass(frozen=True)
class _Kept:
    """All answers there may be used again."""

    store: Store
    progress: Progress
    since: str = ""
    owner: str = ""


def tried(
    spec: ModelSpec, suite: Suite, cases: Sequence[Case], out: Path = Path("out"), progress: Progress = silent
) -> list[Marked]:
    """The cases with the model's answers, graded. out: folder of the store. Raises HarnessError for a wrong model."""
    refuse_missing(spec)
    subject = Subject(spec, progress)
    store = DuckdbStore(out / STORE)
    stage = asked(subject, suite, cases, _Kept(store, progress))
    return marked(cases, store.answers(stage))
