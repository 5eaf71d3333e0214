"""Ask one model a suite, outside any job; the answers are kept where a job would keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.advising.consulting import consulted
from harness.advising.panel import Panel
from harness.asking import asked
from harness.history import STORE
from harness.marking import Marked, marked
from harness.models.opening import refuse_missing
from harness.models.subject import Subject
from harness.progress import Progress
from harness.records import ModelSpec
from harness.stores import Store
from harness.stores.duckdb_store import DuckdbStore
from suites import Case, Suite
from suites.advice import Advice
from suites.repeating import settled

NOBODY = Panel({})


@dataclass(frozen=True)
class _Kept:
    """All answers there may be used again."""

    store: Store
    progress: Progress
    since: str = ""
    owner: str = ""


def tried(
    spec: ModelSpec,
    suite: Suite,
    cases: Sequence[Case],
    out: Path = Path("out"),
    panel: Panel = NOBODY,
) -> list[Marked]:
    """The cases with the model's answers, graded. out: folder of the store; panel: who is asked about answers.

    Raises HarnessError for a wrong model.
    """
    for one in (spec, *panel.specs.values()):
        refuse_missing(one)
    subject = Subject(spec, panel.progress)
    store = DuckdbStore(out / STORE)
    kept = _Kept(store, panel.progress)
    wanted = {case.id for case in cases}
    suite = settled(suite)
    part = replace(suite, cases=tuple(case for case in suite.cases if case.id in wanted))
    stages = asked(subject, suite, part.cases, kept)
    answers = [answer for stage in stages for answer in store.answers(stage)]
    subject.release()
    advice: dict[str, Advice] = {}
    for stage in consulted(part, (answers, None), panel, kept):
        advice |= store.advice(stage)
    return marked(part.cases, answers, advice)
