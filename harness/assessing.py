"""What assertions want to know of the answers to a plan's suites, once both models have given theirs."""

from __future__ import annotations

from functools import partial

from harness.advising.consulting import consulted
from harness.asking import PROTOCOL, stored_answers
from harness.digest import digest
from harness.fidelity.answers import answer_divergences
from harness.measuring import Context
from harness.models.subject import Subject
from harness.progress import named
from suites import Suite


def spoken(before: Subject, after: Subject, context: Context) -> tuple[str, ...]:
    """How far a candidate is from the original over the original's answers, where a suite asks; ids of its stages."""
    return tuple(_spoken(before, after, suite, context) for suite in context.suites if "divergences" in suite.needs)


def _spoken(before: Subject, after: Subject, suite: Suite, context: Context) -> str:
    store = context.store
    answers = stored_answers(before, suite, context)
    said = [(one.case, one.repeat, one.prompt, one.tokens) for one in answers]
    key = digest("divergence", PROTOCOL, suite.digest, before.fingerprint, said)
    stage = store.begin_stage(after.fingerprint, key, "divergence", suite.name, not_before=context.since)
    if not stage.finished:
        known = store.spoken(stage.id)
        rest = [one for one in answers if one.text is not None and (one.case, one.repeat) not in known]
        progress = named(context.progress, f"{after.spec.name}: {suite.name}")
        answer_divergences((before.loaded(), after.loaded()), rest, partial(store.add_spoken, stage.id), progress)
        store.finish_stage(stage.id)
    return stage.id


def advised(before: Subject, after: Subject, context: Context) -> tuple[str, ...]:
    """What judges and embeddings say of a candidate's answers and the original's; ids of stages that are of both."""
    found: list[str] = []
    for suite in context.suites:
        new, old = (stored_answers(one, suite, context) for one in (after, before))
        found += consulted(suite, (new, old), context.panel, context)
    return tuple(found)
