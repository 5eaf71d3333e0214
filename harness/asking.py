"""One suite, one model: ask what is not answered yet, and keep every answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Protocol

from harness.answering.confidence import with_logprobs
from harness.answering.generation import Prompt, answers
from harness.digest import digest
from harness.endpoints import served_answers
from harness.models.subject import Subject
from harness.progress import Progress
from harness.records import DIGEST, Answer
from harness.stores import Stage, Store
from harness.tally import Tally
from suites import Case, Suite

PROTOCOL = "3"
"""Raised whenever generation, scoring or fidelity may give other numbers; what was stored before is then not reused."""


class Keeping(Protocol):
    """Where answers are kept, and which of those there may be used again."""

    @property
    def store(self) -> Store: ...

    @property
    def progress(self) -> Progress: ...

    @property
    def since(self) -> str:
        """Answers from before this moment are not used again; empty: all are."""
        ...

    @property
    def owner(self) -> str:
        """The job whose answers those are of a model that may change; empty: none's."""
        ...


def suite_stage(subject: Subject, suite: Suite, keeping: Keeping) -> Stage:
    """Where the answers to a suite are kept."""
    key = digest("suite", PROTOCOL, suite.digest, asdict(subject.batching), *own(subject, keeping))
    return keeping.store.begin_stage(subject.fingerprint, key, "suite", suite.name, not_before=keeping.since)


def own(subject: Subject, keeping: Keeping) -> tuple[str, ...]:
    """What keeps results of a model that may change to their job, and the original's apart from a candidate's."""
    return () if subject.lasting else (keeping.owner, subject.spec.name)


def asked(subject: Subject, suite: Suite, cases: Sequence[Case], keeping: Keeping) -> str:
    """Ask these cases of a suite, unless they are answered; returns the id of the stage that holds the answers.

    The stage is that of the whole suite, and is finished when all its cases are answered.
    """
    store, stage = keeping.store, suite_stage(subject, suite, keeping)
    if stage.finished:
        return stage.id
    known = {answer.case for answer in store.answers(stage.id)}
    missing = [case for case in cases if case.id not in known]
    prompts = [Prompt(case.id, case.messages, case.max_new_tokens) for case in missing]
    complete = len(known) + len(missing) == len(suite.cases)
    if not prompts and not complete:
        return stage.id
    tally = Tally(suite)

    def keep(batch: list[Answer]) -> None:
        store.add_answers(stage.id, batch)
        tally.add(batch)

    def progress(_: str, done: int, total: int) -> None:
        keeping.progress(f"{subject.spec.name}: {tally}", done, total)

    facts = _answered(subject, suite, prompts, keep, progress)
    if complete:
        store.finish_stage(stage.id, facts={**facts, DIGEST: suite.digest})
    else:
        store.note_stage(stage.id, {**facts, DIGEST: suite.digest})
    return stage.id


def _answered(
    subject: Subject, suite: Suite, prompts: Sequence[Prompt], keep: Callable[[list[Answer]], None], progress: Progress
) -> dict[str, str]:
    """Hand answers over as they come; returns what a reader of them should know."""
    connection = subject.connection()
    if connection is not None:
        served_answers(connection, prompts, keep, progress)
        return connection.facts
    loaded = subject.loaded()
    surely = (lambda batch: keep(with_logprobs(loaded, batch))) if "logprobs" in suite.needs else keep
    answers(loaded, prompts, surely, progress)
    return loaded.facts
