"""What a suite's assertions want to know of its answers: asked once for each distinct question, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.advising import Adviser
from harness.advising.panel import Panel
from harness.asking import Keeping
from harness.digest import digest
from harness.errors import HarnessError
from harness.progress import named
from harness.records import Answer
from harness.stores import Stage
from harness.verdicts.pairing import reply_of
from suites import Case, Reply, Suite, grade
from suites.advice import KINDS, Advice, Kind, Question
from suites.combining import single

Answers = Sequence[Answer]


def consulted(suite: Suite, sides: tuple[Answers, Answers | None], panel: Panel, keeping: Keeping) -> tuple[str, ...]:
    """Ask what is not known yet of a model's answers, held against the original's; ids of the stages that hold it.

    sides: the answers of the model, and those of the original, None where one model is asked alone. What one reply
    brings up, such as the steps of g-eval, is asked next. Raises EndpointError if the judge's endpoint is down.
    """
    stages = {
        kind: _stage(kind, suite, sides, panel, keeping) for kind in KINDS if kind in suite.needs & panel.specs.keys()
    }
    if not stages:
        return ()
    store = keeping.store
    known = {question: advice for stage in stages.values() for question, advice in store.advice(stage.id).items()}
    asking = list(_sides(suite, sides))
    while missing := open_questions(asking, known):
        for kind, stage in stages.items():
            questions = [question for question in missing if question.kind == kind]
            known |= _asked(questions, panel.adviser(kind), stage, keeping)
    for kind, stage in stages.items():
        said = store.advice(stage.id)
        _refuse_silence(kind, suite, said)
        if not stage.finished:
            store.finish_stage(stage.id, facts={kind: _said(panel.adviser(kind), said)})
    panel.release()
    return tuple(stage.id for stage in stages.values())


def open_questions(sides: Sequence[tuple[Case, Reply, Reply | None]], known: Mapping[str, Advice]) -> list[Question]:
    """What assertions would ask next, given what is known. sides: a case, the answer to it, the original's."""
    missing: dict[str, Question] = {}

    def advised(question: Question) -> Advice:
        if question.id not in known:
            missing[question.id] = question
        return known.get(question.id, Advice(None, "not asked yet"))

    for case, answer, original in sides:
        before = None if original is None else replace(original, advised=advised)
        grade(case, replace(answer, advised=advised), before)
    return list(missing.values())


def _sides(suite: Suite, sides: tuple[Answers, Answers | None]) -> Iterator[tuple[Case, Reply, Reply | None]]:
    """Every case that both have answered, with those of its assertions that ask; the original is its own original."""
    after, before = ({(one.case, one.repeat): reply_of(one) for one in side or ()} for side in sides)
    for case, repeat in ((one, number) for one in suite.cases for number in range(one.tries)):
        asking = tuple(each for each in single(case.assertions) if each.rule.needs & set(KINDS))
        new, old = after.get((case.id, repeat)), before.get((case.id, repeat))
        if not asking or new is None or (sides[1] is not None and old is None):
            continue
        part = replace(case, assertions=asking)
        yield part, new, old
        if old is not None:
            yield part, old, old


def _stage(kind: Kind, suite: Suite, sides: tuple[Answers, Answers | None], panel: Panel, keeping: Keeping) -> Stage:
    identity = panel.adviser(kind).identity
    said = [[(one.case, one.repeat, one.text) for one in side or ()] for side in sides]
    key = digest("advice", kind, suite.digest, said)
    return keeping.store.begin_stage(identity, key, "advice", suite.name, not_before=keeping.since)


def _asked(questions: Sequence[Question], adviser: Adviser, stage: Stage, keeping: Keeping) -> dict[str, Advice]:
    """What is known of questions after they were asked; what this adviser said in another job is not asked again."""
    store = keeping.store
    found = store.advice_of(stage.fingerprint, [question.id for question in questions], keeping.since)
    store.add_advice(stage.id, {question: found[question.id] for question in questions if question.id in found})
    rest = [question for question in questions if question.id not in found]
    if rest:
        progress = named(keeping.progress, stage.name)
        adviser.ask(rest, lambda replies: store.add_advice(stage.id, replies), progress)
    return store.advice(stage.id)


def _refuse_silence(kind: Kind, suite: Suite, advice: Mapping[str, Advice]) -> None:
    """Raise HarnessError where no question was replied to: then nothing of the suite could be graded."""
    errors = [one.error for one in advice.values()]
    if errors and all(one.reply is None for one in advice.values()):
        raise HarnessError(f"{suite.name}: {kind}: none of {len(errors)} questions has a reply: {errors[0]}")


def _said(adviser: Adviser, advice: Mapping[str, Advice]) -> str:
    """Who was asked, how often, and how often in vain."""
    failed = sum(one.reply is None for one in advice.values())
    return f"{adviser.name}, {len(advice)} questions" + (f", {failed} without a reply" if failed else "")
