"""Lay the answers of two runs side by side, case by case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Literal

import numpy as np

from harness.errors import HarnessError
from harness.prices import charge
from harness.records import Answer, AnswerDivergence, Price, Run
from harness.statistics.paired import FloatArray
from harness.statistics.series import Series
from suites.advice import Advised, looked_up, nobody
from suites.grading import Graded, grade
from suites.repeating import flaky, whole
from suites.reply import Reply
from suites.schema import Case, Suite

CASE_RATE = "case_rate"
"""Of a suite whose cases are asked several times: the share of cases that pass as a whole."""

Kind = Literal["loss", "gain", "churn", "same", "unknown"]
"""loss: pass before, fail after. gain: the reverse. churn: both fail, by different answers.
unknown: the original did not answer, or one of the two could not be graded."""


@dataclass(frozen=True)
class CasePair:
    """One case of a suite, answered and graded on both sides."""

    suite: str
    case: Case
    kind: Kind
    before: Answer | None
    after: Answer | None
    before_graded: Graded | None
    """None: the original did not answer."""
    after_graded: Graded
    before_tries: tuple[Graded, ...] = ()
    """What each of its answers came to, where the case was asked several times; empty: the original did not answer."""
    after_tries: tuple[Graded, ...] = ()
    spoken: AnswerDivergence | None = None
    """How far the candidate is from the original over the answer before; None: it was not looked at."""

    @property
    def flaky(self) -> bool:
        """Whether some answers of one of the models pass and some do not."""
        return flaky(self.before_tries) or flaky(self.after_tries)

    @property
    def counts(self) -> bool:
        """Whether both sides could be graded; a candidate's missing answer is a failed one."""
        return self.before_graded is not None and self.before_graded.decided and self.after_graded.decided


def case_pairs(suite: Suite, before: Run, after: Run, original: Run | None = None) -> list[CasePair]:
    """Every case of the suite, in its order, whether answered or not.

    original: whose answers assertions may refer to; None: those of `before`.
    """
    runs = (before, after, original or before)
    sides = [_by_case(suite, run) for run in runs]
    advised = looked_up({question: advice for run in runs for question, advice in run.advice.items()})

    def reply(number: int, key: tuple[str, int]) -> Reply | None:
        answer, original_itself = sides[number].get(key), runs[number] is runs[2]
        known = _itself(answer) if original_itself else runs[number].spoken.get(suite.name, {}).get(key)
        return reply_of(answer, advised, known, runs[number].price)

    pairs = []
    for case in suite.cases:
        keys = [(case.id, number) for number in range(case.tries)]
        answers = [[side.get(key) for key in keys] for side in sides]
        replies = [[reply(number, key) for key in keys] for number in range(len(runs))]
        pair = _case_pair(suite.name, case, answers, replies)
        stands = (case.id, pair.before.repeat if pair.before else 0)
        pairs.append(replace(pair, spoken=after.spoken.get(suite.name, {}).get(stands)))
    return pairs


def _itself(answer: Answer | None) -> AnswerDivergence | None:
    """How far the original is from itself at the tokens of its answer: no way."""
    if answer is None or answer.tokens is None:
        return None
    return AnswerDivergence(answer.case, answer.repeat, (), (0.0,) * len(answer.tokens))


def _by_case(suite: Suite, run: Run) -> dict[tuple[str, int], Answer]:
    """By case and repeat."""
    answers = {(answer.case, answer.repeat): answer for answer in run.answers.get(suite.name, ())}
    strangers = {case for case, _ in answers} - {case.id for case in suite.cases}
    if strangers:
        raise HarnessError(
            f"run {run.id} ({run.model.name}) answered {len(strangers)} cases that suite {suite.name} does not have, "
            f"for example {min(strangers)}: the suite has changed since; run it again"
        )
    return answers


Answers = Sequence[Answer | None]
"""To one case, one for each time it is asked."""


def _case_pair(
    suite: str, case: Case, answers: Sequence[Answers], replies: Sequence[Sequence[Reply | None]]
) -> CasePair:
    """On each side the answer that stands for all; a case that is left unanswered once is not answered before.

    answers, replies: before, after, and those of the original.
    """
    before, after, _ = answers
    old, new, first = replies
    silent = next((number for number, one in enumerate(old) if one is None), None)
    old_tries = () if silent is not None else tuple(map(grade, repeat(case), old, first))
    new_tries = tuple(map(grade, repeat(case), new, first))
    place, old_graded = (silent, None) if silent is not None else whole(case, old_tries)
    new_place, new_graded = whole(case, new_tries)
    same_text = _text(old[place]) == _text(new[new_place])
    pair = CasePair(
        suite=suite,
        case=case,
        kind="unknown",
        before=before[place],
        after=after[new_place],
        before_graded=old_graded,
        after_graded=new_graded,
        before_tries=old_tries,
        after_tries=new_tries,
    )
    return replace(pair, kind=_kind(old_graded, new_graded, same_text)) if pair.counts else pair


def _text(reply: Reply | None) -> str | None:
    return reply.text if reply else None


def reply_of(
    answer: Answer | None,
    advised: Advised = nobody,
    spoken: AnswerDivergence | None = None,
    price: Price | None = None,
) -> Reply | None:
    """The answer as assertions see it, with all that `harness.records.GIVEN` says; None if there is none."""
    if answer is None or answer.text is None:
        return None
    return Reply(
        answer.text,
        answer.finish,
        answer.seconds,
        charge(answer, price) if price else None,
        tokens=answer.tokens,
        logprobs=answer.logprobs,
        divergences=spoken.kl if spoken else None,
        advised=advised,
    )


def _kind(before: Graded | None, after: Graded, same_text: bool) -> Kind:
    if before is None:
        return "unknown"
    if before.passed != after.passed:
        return "loss" if before.passed else "gain"
    return "same" if before.passed or same_text else "churn"


def suite_series(suite: str, pairs: Sequence[CasePair], asked: bool) -> list[Series]:
    """The metrics of a suite: pass_rate, score, losses. asked: whether the candidate was asked this suite at all.

    The case is the unit however often it is asked. Where one is asked several times, its pass_rate is the share of its
    answers that pass, and whether it passes as a whole counts for losses and for case_rate.
    """
    before = [pair.before_graded if pair.counts else None for pair in pairs]
    passed = Series(
        metric=f"{suite}.pass_rate",
        unit="share",
        higher_is_better=True,
        scale="binary",
        ids=tuple(pair.case.id for pair in pairs),
        clusters=("",) * len(pairs),
        tags=tuple(frozenset(pair.case.tags) for pair in pairs),
        before=numbers([float(graded.passed) if graded else None for graded in before]),
        after=numbers([float(pair.after_graded.passed) if asked else None for pair in pairs]),
        weights=np.ones(len(pairs)),
        unanswered=sum(pair.after is None or pair.after.text is None for pair in pairs),
    )
    score = replace(
        passed,
        metric=f"{suite}.score",
        unit="score",
        scale="graded",
        before=numbers([graded.score if graded else None for graded in before]),
        after=numbers([pair.after_graded.score if asked else None for pair in pairs]),
    )
    losses = replace(passed, metric=f"{suite}.losses", unit="cases", higher_is_better=False, summary="losses")
    if all(pair.case.tries == 1 for pair in pairs):
        return [passed, score, losses]
    rate = replace(
        passed,
        scale="graded",
        before=numbers([_share(pair.before_tries) if pair.counts else None for pair in pairs]),
        after=numbers([_share(pair.after_tries) if asked else None for pair in pairs]),
    )
    return [rate, replace(passed, metric=f"{suite}.{CASE_RATE}"), score, losses]


def _share(tries: Sequence[Graded]) -> float | None:
    """Of the answers to a case, how many pass."""
    return sum(each.passed for each in tries) / len(tries) if tries else None


def numbers(values: list[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
