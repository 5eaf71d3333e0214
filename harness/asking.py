"""One suite, one model: ask what is not answered yet, and keep every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Protocol

from harness.answering.confidence import with_logprobs
from harness.answering.generation import Prompt, answers
from harness.digest import digest
from harness.endpoints import served_answers
from harness.models.opening import LoadedModel
from harness.models.subject import Subject
from harness.progress import Progress, silent
from harness.records import DECODING, DIGEST, Answer
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


def suite_stages(subject: Subject, suite: Suite, keeping: Keeping) -> list[Stage]:
    """Where the answers to a suite are kept: every repeat of its cases is a stage."""
    stages = []
    for repeat in range(suite.tries):
        key = digest("suite", PROTOCOL, suite.digest, asdict(subject.batching), *own(subject, keeping))
        if suite.sampling is not None:
            cases = [case.id for case in suite.cases if case.tries > repeat]
            key = digest(key, asdict(suite.sampling), repeat, cases)
        stage = keeping.store.begin_stage(subject.fingerprint, key, "suite", suite.name, not_before=keeping.since)
        stages.append(stage)
    return stages


def own(subject: Subject, keeping: Keeping) -> tuple[str, ...]:
    """What keeps results apart that one fingerprint may have.

    Those of an engine are its own; those of a model that may change belong to their job, and the original's are not a
    candidate's.
    """
    engine = (subject.engine,) if subject.engine else ()
    return engine if subject.lasting else (*engine, keeping.owner, subject.spec.name)


def asked(subject: Subject, suite: Suite, cases: Sequence[Case], keeping: Keeping) -> tuple[str, ...]:
    """Ask these cases of a suite, unless they are answered; returns the ids of the stages that hold the answers.

    The stages are those of the whole suite, and are finished when all its cases are answered.
    """
    stages = suite_stages(subject, suite, keeping)
    prompts, complete = left(suite, cases, stages, keeping.store)
    if not prompts and not any(complete.values()):
        return tuple(stage.id for stage in stages)
    tally = Tally(suite)

    def kept(batch: list[Answer]) -> None:
        keep(batch, stages, keeping.store)
        tally.add(batch)

    def progress(_: str, done: int, total: int) -> None:
        keeping.progress(f"{subject.spec.name}: {tally}", done, total)

    facts = facts_of(suite, _answered(subject, suite, prompts, kept, progress))
    for repeat, is_complete in complete.items():
        if is_complete:
            keeping.store.finish_stage(stages[repeat].id, facts=facts)
        else:
            keeping.store.note_stage(stages[repeat].id, facts)
    return tuple(stage.id for stage in stages)


def stored_answers(subject: Subject, suite: Suite, keeping: Keeping) -> list[Answer]:
    """All answers to a suite there are by now."""
    return [answer for one in suite_stages(subject, suite, keeping) for answer in keeping.store.answers(one.id)]


def keep(batch: Sequence[Answer], stages: Sequence[Stage], store: Store) -> None:
    """Put answers where their repeats belong."""
    for repeat in {answer.repeat for answer in batch}:
        store.add_answers(stages[repeat].id, [answer for answer in batch if answer.repeat == repeat])


def left(
    suite: Suite, cases: Sequence[Case], stages: Sequence[Stage], store: Store
) -> tuple[list[Prompt], dict[int, bool]]:
    """What of these cases is not answered yet; and for each repeat not finished, whether that is all there is of it."""
    known = {n: {answer.case for answer in store.answers(one.id)} for n, one in enumerate(stages) if not one.finished}
    prompts = [
        Prompt(case.id, case.messages, case.max_new_tokens, suite.sampling, repeat)
        for repeat in known
        for case in cases
        if case.tries > repeat and case.id not in known[repeat]
    ]
    asking = Counter(prompt.repeat for prompt in prompts)
    wanted = {repeat: sum(case.tries > repeat for case in suite.cases) for repeat in known}
    return prompts, {repeat: len(known[repeat]) + asking[repeat] == wanted[repeat] for repeat in known}


def facts_of(suite: Suite, of_model: dict[str, str]) -> dict[str, str]:
    """What a reader of the answers should know."""
    facts = {**of_model, DIGEST: suite.digest}
    if suite.sampling is None:
        return facts
    how = ", ".join(f"{name} {value:g}" for name, value in vars(suite.sampling).items())
    return facts | {DECODING: f"{how}; every case and repeat by a seed of its own, the same for all models"}


def _answered(
    subject: Subject, suite: Suite, prompts: Sequence[Prompt], keep: Callable[[list[Answer]], None], progress: Progress
) -> dict[str, str]:
    """Hand answers over as they come; returns what a reader of them should know."""
    connection = subject.connection()
    if connection is not None:
        served_answers(connection, prompts, keep, progress)
        return connection.facts
    return answered_here(subject.loaded(), suite.needs, prompts, keep, progress)


def answered_here(
    loaded: LoadedModel,
    needs: Collection[str],
    prompts: Sequence[Prompt],
    keep: Callable[[list[Answer]], None],
    progress: Progress = silent,
) -> dict[str, str]:
    """The same of an open model. needs: of the suite's assertions."""
    surely = (lambda batch: keep(with_logprobs(loaded, batch))) if "logprobs" in needs else keep
    answers(loaded, prompts, surely, progress)
    return loaded.facts
