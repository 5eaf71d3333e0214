"""One suite, one model: ask what is not answered yet, and keep every answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Protocol

from harness.digest import digest
from harness.generation import GenerationSettings, Prompt, answers
from harness.progress import Progress, named
from harness.records import DIGEST
from harness.stores import Store
from harness.subject import Subject
from suites import Case, Suite

PROTOCOL = "2"
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


def asked(subject: Subject, suite: Suite, cases: Sequence[Case], keeping: Keeping) -> str:
    """Ask these cases of a suite, unless they are answered; returns the id of the stage that holds the answers.

    The stage is that of the whole suite, and is finished when all its cases are answered.
    """
    settings, store = GenerationSettings(), keeping.store
    key = digest("suite", PROTOCOL, suite.digest, asdict(settings))
    stage = store.begin_stage(subject.fingerprint, key, "suite", suite.name, not_before=keeping.since)
    if stage.finished:
        return stage.id
    known = {answer.case for answer in store.answers(stage.id)}
    missing = [case for case in cases if case.id not in known]
    prompts = [Prompt(case.id, case.messages, case.max_new_tokens) for case in missing]
    complete = len(known) + len(missing) == len(suite.cases)
    if not prompts and not complete:
        return stage.id
    loaded = subject.loaded()
    progress = named(keeping.progress, f"{subject.spec.name}: {suite.name}")
    answers(loaded, prompts, settings, lambda batch: store.add_answers(stage.id, batch), progress)
    if complete:
        store.finish_stage(stage.id, facts={**loaded.facts, DIGEST: suite.digest})
    return stage.id
